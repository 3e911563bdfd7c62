package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// leaseRoute begins the paths of single leases; keepAliveSuffix ends that of
// their keep-alive.
const (
	leaseRoute      = "/v1/leases/"
	keepAliveSuffix = "/keepalive"
)

// bodyBytesMax bounds the JSON of requests that are a few numbers.
const bodyBytesMax = 4 << 10

// grantLease is POST /v1/leases.
func (a *api) grantLease(w http.ResponseWriter, r *http.Request) error {
	var j kvjson.Grant
	if err := readJSON(w, r, &j); err != nil {
		return err
	}
	req, err := j.Decode()
	if err != nil {
		return err
	}
	lease, err := a.store.LeaseGrant(r.Context(), req)
	if err != nil {
		return err
	}
	a.reached(w, lease.Revision)
	w.Header().Set("Location", leaseRoute+leaseText(lease.ID))
	return answerLine(w, r, http.StatusCreated, kvjson.NewLease(lease, false))
}

// listLeases is GET /v1/leases.
func (a *api) listLeases(w http.ResponseWriter, r *http.Request) error {
	if q := parseQuery(r); q.err != nil {
		return q.err
	}
	list, err := a.store.Leases(r.Context())
	if err != nil {
		return err
	}
	a.reached(w, list.Revision)
	return answerLine(w, r, http.StatusOK, kvjson.NewLeases(list))
}

// getLease is GET /v1/leases/{id}.
func (a *api) getLease(w http.ResponseWriter, r *http.Request) error {
	id, err := leaseOf(r, "")
	if err != nil {
		return err
	}
	q := parseQuery(r, "keys")
	withKeys := q.flag("keys")
	if q.err != nil {
		return q.err
	}
	lease, err := a.store.LeaseTimeToLive(r.Context(), id, withKeys)
	if err != nil {
		return err
	}
	a.reached(w, lease.Revision)
	w.Header()["Cache-Control"] = noCache
	return answerLine(w, r, http.StatusOK, kvjson.NewLease(lease, withKeys))
}

// keepAlive is POST /v1/leases/{id}/keepalive.
func (a *api) keepAlive(w http.ResponseWriter, r *http.Request) error {
	id, err := leaseOf(r, keepAliveSuffix)
	if err != nil {
		return err
	}
	if err := saysNothing(w, r); err != nil {
		return err
	}
	lease, err := a.store.LeaseKeepAlive(r.Context(), id)
	if err != nil {
		return err
	}
	a.reached(w, lease.Revision)
	return answerLine(w, r, http.StatusOK, kvjson.NewLease(lease, false))
}

// revokeLease is DELETE /v1/leases/{id}.
func (a *api) revokeLease(w http.ResponseWriter, r *http.Request) error {
	id, err := leaseOf(r, "")
	if err != nil {
		return err
	}
	if q := parseQuery(r); q.err != nil {
		return q.err
	}
	revision, err := a.store.LeaseRevoke(r.Context(), id)
	if err != nil {
		return err
	}
	a.reached(w, revision)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// leaseOf is the lease of a path that begins with leaseRoute and ends with
// suffix.
func leaseOf(r *http.Request, suffix string) (kv.LeaseID, error) {
	path := r.URL.Path
	return parseLease("the lease of the path", path[len(leaseRoute):len(path)-len(suffix)])
}

// parseLease takes any number: whether there is such a lease, the store knows.
func parseLease(name, text string) (kv.LeaseID, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, kv.Invalid("%s is %q, it must be a whole number of at most 63 bits", name, text)
	}
	return kv.LeaseID(id), nil
}

func leaseText(id kv.LeaseID) string { return strconv.FormatInt(int64(id), 10) }

// answerLine answers with v as JSON, on a line.
func answerLine(w http.ResponseWriter, r *http.Request, code int, v any) error {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return err
	}
	answer(w, r, code, kvjson.JSONType, body.Bytes())
	return nil
}

// readJSON reads a small body into the struct that into points at.
func readJSON(w http.ResponseWriter, r *http.Request, into any) error {
	if q := parseQuery(r); q.err != nil {
		return q.err
	}
	body, err := readBody(w, r, bodyBytesMax)
	if err != nil {
		return err
	}
	return kvjson.Decode(body, into)
}

// saysNothing refuses a request that has more than its path: a query, or a
// body that is not an empty object.
func saysNothing(w http.ResponseWriter, r *http.Request) error {
	if q := parseQuery(r); q.err != nil {
		return q.err
	}
	body, err := readBody(w, r, bodyBytesMax)
	if err != nil || len(body) == 0 {
		return err
	}
	return kvjson.Decode(body, &struct{}{})
}
