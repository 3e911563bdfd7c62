package httpclient_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miruvor/miruvor/internal/httpclient"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// nodes answers every request in memory, and writes it down.
type nodes struct {
	mu       sync.Mutex
	requests []string
	answer   func(host, target string) *http.Response
}

// RoundTrip implements http.RoundTripper.
func (n *nodes) RoundTrip(req *http.Request) (*http.Response, error) {
	query := req.URL.Query()
	query.Del("progress")
	query.Del("start")
	target := req.Method + " " + req.URL.Path + " " + query.Encode()
	n.mu.Lock()
	n.requests = append(n.requests, req.URL.Host+" "+target)
	resp := n.answer(req.URL.Host, target)
	n.mu.Unlock()
	if resp == nil {
		return nil, errors.New("connection refused")
	}
	// As http.Transport does, a body ends with the context of its request.
	if body, ok := resp.Body.(*io.PipeReader); ok {
		ctx := req.Context()
		context.AfterFunc(ctx, func() { body.CloseWithError(context.Cause(ctx)) })
	}
	return resp, nil
}

// tells is the beginning of a watch at revision 7: some lines, after which it
// ends, or goes on if open.
func tells(open bool, lines ...string) *http.Response {
	body, writer := io.Pipe()
	go func() {
		_, err := io.WriteString(writer, strings.Join(lines, "\n"))
		if !open && err == nil {
			writer.CloseWithError(io.ErrUnexpectedEOF)
		}
	}()
	return begins(body)
}

// begins is the beginning of a watch at revision 7, which body is to go on.
func begins(body io.ReadCloser) *http.Response {
	return &http.Response{
		StatusCode: http.StatusOK, Body: body,
		Header: http.Header{kvjson.Revision: {"7"}, kvjson.Watch: {"name"}},
	}
}

// refuses is the problem of a code.
func refuses(code string, compacted kv.Revision) *http.Response {
	for _, kind := range kvjson.Kinds() {
		if kind.Code != code {
			continue
		}
		p := kind.New("says the node")
		p.Compacted = compacted
		body, _ := json.Marshal(p)
		return &http.Response{
			StatusCode: kind.Status, Body: io.NopCloser(bytes.NewReader(body)),
			Header: http.Header{
				"Content-Type": {kvjson.ProblemType}, kvjson.Revision: {"9"},
			},
		}
	}
	panic("no code " + code)
}

// empty is the answer to everything but watches, at a revision.
func empty(status int, revision int) *http.Response {
	return &http.Response{
		StatusCode: status, Body: http.NoBody,
		Header: http.Header{kvjson.Revision: {fmt.Sprint(revision)}, kvjson.ETag: {`"1"`}},
	}
}

// put is the line that tells of a put at revision, up to its end.
func put(revision int) string {
	return fmt.Sprintf(`{"revision":%d,"events":[{"type":"put","key":"a","value":"",`+
		`"create_revision":1,"mod_revision":%d,"version":1}]}`, revision, revision)
}

// watch begins a watch over nodes a and b.
func watch(t *testing.T, n *nodes, from kv.Revision) (kv.WatchStream, error) {
	t.Helper()
	client, err := httpclient.New(httpclient.Options{
		Endpoints: []string{"a:1", "b:1"}, Transport: n,
	})
	if err != nil {
		t.Fatal(err)
	}
	stream, err := client.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stream.Close)
	_, err = stream.Add(kv.WatchRequest{From: from})
	return stream, err
}

// asked compares the requests so far.
func (n *nodes) asked(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	got := strings.Join(n.requests, "\n")
	if got != strings.Join(want, "\n") {
		t.Errorf("asked\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func mustTell(t *testing.T, stream kv.WatchStream, want kv.WatchResponse) {
	t.Helper()
	got, err := stream.Next(t.Context())
	got.Events = nil
	if err != nil || got.ID != want.ID || got.Revision != want.Revision ||
		got.Compacted != want.Compacted {
		t.Fatalf("told %+v (%v), want %+v", got, err, want)
	}
}

// TestGoesOn: each request begins behind what was told, whatever ended the one
// before, and a node that failed is not asked again at once.
func TestGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := []*http.Response{
			tells(false), // ends behind its header
			tells(false, put(8), put(9), put(10)[:60]), // ends in a message
			tells(false, put(9), put(10), `{"revision":20}`, ""),
			tells(false, `{"error":{"code":"stopped","detail":"says the node"}}`, ""),
			tells(false, "no JSON", ""),
			nil,
			refuses("not_ready", 0),
			tells(true, `{}`, put(30), ""),
		}
		n := &nodes{}
		n.answer = func(string, string) *http.Response {
			next := answers[0]
			answers = answers[1:]
			return next
		}
		stream, err := watch(t, n, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, revision := range []kv.Revision{8, 9, 10, 30} {
			mustTell(t, stream, kv.WatchResponse{ID: 1, Revision: revision})
		}
		n.asked(t,
			"a:1 GET /v1/watch ",
			"b:1 GET /v1/watch revision=8",
			"a:1 GET /v1/watch revision=10",
			"b:1 GET /v1/watch revision=21",
			"a:1 GET /v1/watch revision=21",
			"b:1 GET /v1/watch revision=21",
			"a:1 GET /v1/watch revision=21",
			"b:1 GET /v1/watch revision=21",
		)
	})
}

// TestRefusals: what a node refuses for good, Add returns.
func TestRefusals(t *testing.T) {
	for code, want := range map[string]error{
		"invalid":           kv.ErrInvalid,
		"too_many_requests": kv.ErrTooManyRequests,
		"no_leader":         kv.ErrNoLeader,
	} {
		n := &nodes{answer: func(string, string) *http.Response { return refuses(code, 0) }}
		if _, err := watch(t, n, 1); !errors.Is(err, want) {
			t.Errorf("%s: %v", code, err)
		}
	}
	n := &nodes{answer: func(string, string) *http.Response { return nil }}
	if _, err := watch(t, n, 1); !errors.Is(err, httpclient.ErrUnreachable) {
		t.Errorf("no endpoint: %v", err)
	}
}

// TestCompactedStart: a watch of what is compacted begins and ends.
func TestCompactedStart(t *testing.T) {
	for told, want := range map[kv.Revision]kv.Revision{5: 5, 0: 9} {
		n := &nodes{answer: func(string, string) *http.Response {
			return refuses("compacted", told)
		}}
		stream, err := watch(t, n, 1)
		if err != nil {
			t.Fatal(err)
		}
		mustTell(t, stream, kv.WatchResponse{ID: 1, Compacted: want})
	}
}

// TestRepeatedFailuresSlowDown: a node that breaks off each watch at once is
// not asked without a pause.
func TestRepeatedFailuresSlowDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &nodes{answer: func(string, string) *http.Response { return tells(false) }}
		if _, err := watch(t, n, 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		n.mu.Lock()
		defer n.mu.Unlock()
		if asked := len(n.requests); asked < 25 || asked > 100 {
			t.Errorf("%d requests in a minute", asked)
		}
	})
}

// TestProgressIsNoOlder: an answer to an earlier question is none to this one.
func TestProgressIsNoOlder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body, writer := io.Pipe()
		n := &nodes{}
		n.answer = func(_, target string) *http.Response {
			switch {
			case strings.HasPrefix(target, "GET /v1/watch"):
				return begins(body)
			case strings.HasPrefix(target, "POST"):
				return empty(http.StatusAccepted, 0)
			}
			return empty(http.StatusOK, 12)
		}
		stream, err := watch(t, n, 0)
		if err != nil {
			t.Fatal(err)
		}
		stream.Progress()
		n.asked(t, "a:1 GET /v1/watch ", "a:1 GET /v1/kv/\x00 ",
			"a:1 POST /v1/watch/name/progress ")
		for _, line := range []string{`{"revision":11}`, put(12), `{"revision":13}`} {
			fmt.Fprintln(writer, line)
			if line == put(12) {
				mustTell(t, stream, kv.WatchResponse{ID: 1, Revision: 12})
			}
		}
		mustTell(t, stream, kv.WatchResponse{Revision: 13})
	})
}

// TestProgressOfAnotherNode: where a node does not know the watch, as behind a
// proxy, a new request is told instead.
func TestProgressOfAnotherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &nodes{}
		n.answer = func(_, target string) *http.Response {
			switch {
			case target == "GET /v1/watch ":
				return tells(true, put(10), "")
			case strings.HasPrefix(target, "GET /v1/watch"):
				return tells(true, `{"revision":12}`, "")
			case strings.HasPrefix(target, "POST"):
				return refuses("watch_not_found", 0)
			}
			return empty(http.StatusOK, 12)
		}
		stream, err := watch(t, n, 0)
		if err != nil {
			t.Fatal(err)
		}
		mustTell(t, stream, kv.WatchResponse{ID: 1, Revision: 10})
		stream.Progress()
		stream.Progress()
		mustTell(t, stream, kv.WatchResponse{Revision: 12})
		mustTell(t, stream, kv.WatchResponse{Revision: 12})
	})
}

// TestRemoveWhileAnswering: the progress of what is left does not wait for a
// watch that is removed.
func TestRemoveWhileAnswering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &nodes{}
		n.answer = func(_, target string) *http.Response {
			switch {
			case strings.HasPrefix(target, "GET /v1/watch"):
				return tells(true)
			case strings.HasPrefix(target, "POST"):
				return empty(http.StatusAccepted, 0)
			}
			return empty(http.StatusOK, 12)
		}
		stream, err := watch(t, n, 0)
		if err != nil {
			t.Fatal(err)
		}
		stream.Progress()
		synctest.Wait()
		stream.Remove(1)
		stream.Remove(1)
		mustTell(t, stream, kv.WatchResponse{Revision: 12})
	})
}
