package httpapi

import (
	"fmt"
	"math"
	"net/http"
	"strconv"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// keyRoute begins the paths of single keys.
const keyRoute = "/v1/kv/"

// keyOf is the key of a path that begins with keyRoute: the rest, percent-
// decoded once. URL.Path is just that, as the prefix has no escapes.
func (a *api) keyOf(r *http.Request) ([]byte, error) {
	key := r.URL.Path[len(keyRoute):]
	if key == "" {
		return nil, kv.Invalid("key is empty; for a list of keys leave the last / out")
	}
	return a.checkedKey(key)
}

func (a *api) checkedKey(key string) ([]byte, error) {
	if len(key) > a.limits.KeyBytesMax {
		return nil, kv.Invalid("key is %d bytes, the most is %d", len(key), a.limits.KeyBytesMax)
	}
	return []byte(key), nil
}

// getKey is GET and HEAD /v1/kv/{key}: the value, raw.
func (a *api) getKey(w http.ResponseWriter, r *http.Request) error {
	key, err := a.keyOf(r)
	if err != nil {
		return err
	}
	conditions, err := parseConditions(r.Header)
	if err != nil {
		return err
	}
	req := kv.RangeRequest{Range: kv.PointRange(key)}
	if err := setReadOptions(r, &req); err != nil {
		return err
	}
	resp, err := a.store.Range(r.Context(), req)
	if err != nil {
		return err
	}
	a.reached(w, resp.Revision)
	if len(resp.KVs) == 0 {
		if !conditions.none() && !conditions.hold(nil) {
			return preconditionFailed(w, nil)
		}
		return keyNotFound(key)
	}
	return sendKey(w, r, &resp.KVs[0], conditions)
}

// setReadOptions reads the query of a single key's read.
func setReadOptions(r *http.Request, req *kv.RangeRequest) error {
	if r.URL.RawQuery == "" {
		return nil
	}
	q := parseQuery(r, "revision", "consistency")
	req.Revision = q.revision("revision")
	req.Serializable = q.serializable()
	return q.err
}

func sendKey(
	w http.ResponseWriter, r *http.Request, pair *kv.KeyValue, conditions conditions,
) error {
	if !conditions.match.holds(pair) {
		return preconditionFailed(w, pair)
	}
	header := w.Header()
	describeKey(header, pair)
	header["Cache-Control"] = noCache
	if conditions.noneMatch.given && conditions.noneMatch.matches(pair) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	header["Content-Type"] = bytesType
	header["X-Content-Type-Options"] = noSniff
	header["Content-Length"] = []string{strconv.Itoa(len(pair.Value))}
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(pair.Value)
	}
	return nil
}

// putKey is PUT /v1/kv/{key}: the body, raw, becomes the value.
func (a *api) putKey(w http.ResponseWriter, r *http.Request) error {
	key, err := a.keyOf(r)
	if err != nil {
		return err
	}
	if r.Header["Content-Range"] != nil {
		return kv.Invalid("Content-Range: a value is put whole")
	}
	put := kv.PutRequest{Key: key}
	if err := setPutOptions(r, &put); err != nil {
		return err
	}
	conditions, err := parseConditions(r.Header)
	if err != nil {
		return err
	}
	if put.Value, err = readBody(w, r, a.limits.RequestBytesMax); err != nil {
		return err
	}
	resp, err := a.write(w, r, key, kv.Op{Put: &put}, conditions)
	if err != nil {
		return err
	}
	done := resp.Results[0].Put
	header := w.Header()
	header[kvjson.ETag] = []string{etag(resp.Revision)}
	header[kvjson.Version] = []string{strconv.FormatInt(done.Version, 10)}
	switch {
	case done.Prev != nil:
		sendPrev(w, r, done.Prev)
	case done.Version == 1:
		w.WriteHeader(http.StatusCreated)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
	return nil
}

// deleteKey is DELETE /v1/kv/{key}.
func (a *api) deleteKey(w http.ResponseWriter, r *http.Request) error {
	key, err := a.keyOf(r)
	if err != nil {
		return err
	}
	del := kv.DeleteRequest{Range: kv.PointRange(key)}
	if del.PrevKV, err = wantsPrev(r); err != nil {
		return err
	}
	conditions, err := parseConditions(r.Header)
	if err != nil {
		return err
	}
	resp, err := a.write(w, r, key, kv.Op{Delete: &del}, conditions)
	if err != nil {
		return err
	}
	done := resp.Results[0].Delete
	switch {
	case done.Deleted == 0:
		return keyNotFound(key)
	case len(done.Prev) > 0:
		sendPrev(w, r, &done.Prev[0])
	default:
		w.WriteHeader(http.StatusNoContent)
	}
	return nil
}

// write runs op if the conditions hold for key, all in one transaction.
func (a *api) write(
	w http.ResponseWriter, r *http.Request, key []byte, op kv.Op, conditions conditions,
) (kv.TxnResponse, error) {
	req := kv.TxnRequest{Success: []kv.Op{op}}
	if !conditions.none() {
		var err error
		if req.Compares, err = conditions.compares(key); err != nil {
			return kv.TxnResponse{}, err
		}
		current := &kv.RangeRequest{Range: kv.PointRange(key), KeysOnly: true}
		req.Failure = []kv.Op{{Range: current}}
	}
	resp, err := a.store.Txn(r.Context(), req)
	if err != nil {
		return resp, err
	}
	a.reached(w, resp.Revision)
	if resp.Succeeded {
		return resp, nil
	}
	if found := resp.Results[0].Range.KVs; len(found) > 0 {
		return resp, preconditionFailed(w, &found[0])
	}
	return resp, preconditionFailed(w, nil)
}

// sendPrev answers a write that asked for the value before.
func sendPrev(w http.ResponseWriter, r *http.Request, prev *kv.KeyValue) {
	w.Header()[kvjson.PrevRevision] = []string{strconv.FormatInt(int64(prev.ModRevision), 10)}
	answer(w, r, http.StatusOK, kvjson.BytesType, prev.Value)
}

// setPutOptions reads the query of a put.
func setPutOptions(r *http.Request, put *kv.PutRequest) error {
	if r.URL.RawQuery == "" {
		return nil
	}
	q := parseQuery(r, "prev", "lease")
	put.PrevKV = q.flag("prev")
	if q.values.Has("lease") && q.err == nil {
		put.Lease, q.err = parseLease("lease", q.values.Get("lease"))
		if put.Lease < 0 {
			q.fail("lease is %d, it must be a whole number from 0 to %d (63 bits)",
				put.Lease, int64(math.MaxInt64))
		}
	}
	return q.err
}

func wantsPrev(r *http.Request) (bool, error) {
	if r.URL.RawQuery == "" {
		return false, nil
	}
	q := parseQuery(r, "prev")
	return q.flag("prev"), q.err
}

func keyNotFound(key []byte) error {
	const shown = 64
	if len(key) > shown {
		return fmt.Errorf("%w: %q… (%d bytes)", kv.ErrKeyNotFound, key[:shown], len(key))
	}
	return fmt.Errorf("%w: %q", kv.ErrKeyNotFound, key)
}
