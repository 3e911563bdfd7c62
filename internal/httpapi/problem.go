package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"runtime/debug"
	"strconv"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// problemError is an error that is a problem document already.
type problemError struct{ kvjson.Problem }

func (e problemError) Error() string { return e.Title + ": " + e.Detail }

// problemOf is the problem document of err, and when to try again.
func problemOf(r *http.Request, err error) (p kvjson.Problem, retryAfterSeconds int) {
	var own problemError
	if errors.As(err, &own) {
		p = own.Problem
	} else {
		kind := kvjson.KindOf(err)
		p, retryAfterSeconds = kind.New(err.Error()), kind.RetryAfterSeconds
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		p.Uncertain = false
	}
	p.Instance = writtenPath(r.URL)
	return p, retryAfterSeconds
}

// fail answers with the problem document of err.
func (a *api) fail(rec *recorder, r *http.Request, err error) {
	p, retryAfterSeconds := problemOf(r, err)
	// Probes ask for the one all the time, and the node has told of the other.
	known := errors.Is(err, kv.ErrNotReady) || errors.Is(err, kv.ErrNoSpace)
	if p.Status >= http.StatusInternalServerError && r.Context().Err() == nil && !known {
		a.log.Warn("request failed", "method", r.Method, "path", p.Instance, "err", err)
	}
	if rec.code != 0 {
		return
	}
	header := rec.Header()
	if header[kvjson.Revision] == nil {
		setRevision(header, a.lastSeen(r))
	}
	if retryAfterSeconds > 0 {
		header.Set("Retry-After", strconv.Itoa(retryAfterSeconds))
	}
	answer(rec, r, p.Status, kvjson.ProblemType, indented(p))
}

// indented is the JSON of p, for people: < and > are themselves.
func indented(p kvjson.Problem) []byte {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(p); err != nil {
		panic(err) // a struct of strings always has a JSON form
	}
	return body.Bytes()
}

// recovered answers after a panic. The server itself goes on: the store is
// behind an interface that keeps its own invariants.
func (a *api) recovered(rec *recorder, r *http.Request, reason any) {
	if reason == http.ErrAbortHandler {
		panic(reason)
	}
	a.log.Error("handler panicked", "method", r.Method, "path", writtenPath(r.URL),
		"reason", reason, "stack", string(debug.Stack()))
	a.fail(rec, r, errors.New("the handler panicked"))
}
