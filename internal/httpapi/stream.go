package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// The bounds of a stream: what is read ahead, and how long the client may
// take for it.
const (
	streamKeysMax      = 1000
	streamBytesMax     = 256 << 10
	streamWriteTimeout = 30 * time.Second
)

// stream answers with a range of any length, a line a key, all at one
// revision. The first page is read before the header, so that an early error
// has a status code of its own; a later one is the last line.
func (a *api) stream(w http.ResponseWriter, r *http.Request, req kv.RangeRequest) error {
	s := stream{rc: http.NewResponseController(w), req: req, limit: req.Limit}
	page, err := s.next(r.Context(), a)
	if err != nil {
		return err
	}
	a.reached(w, page.Revision)
	s.req.Revision = snapshotOf(&req, &page)
	header := w.Header()
	header["Content-Type"] = []string{kvjson.NDJSONType}
	header["X-Content-Type-Options"] = noSniff
	header["Cache-Control"] = noCache
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	rest := kv.GoingOn(r.Context())
	for s.send(w, &page) {
		if page, err = s.next(rest, a); err != nil {
			s.end(w, r, err)
			return err
		}
	}
	return nil
}

// stream is an NDJSON answer under way.
type stream struct {
	rc *http.ResponseController
	// req asks for what is still to be read.
	req kv.RangeRequest
	// limit is how many keys may still be sent, if there is a limit.
	limit int
	buf   []byte
}

// next reads the next page.
func (s *stream) next(ctx context.Context, a *api) (kv.RangeResponse, error) {
	page := s.req
	page.WantCount = false
	page.BytesMax = streamBytesMax
	page.Limit = streamKeysMax
	if s.req.Limit > 0 {
		page.Limit = min(streamKeysMax, s.limit)
	}
	return a.store.Range(ctx, page)
}

// send writes page and tells whether there is more to send.
func (s *stream) send(w http.ResponseWriter, page *kv.RangeResponse) bool {
	s.buf = s.buf[:0]
	for i := range page.KVs {
		s.buf = kvjson.AppendKeyValue(s.buf, &page.KVs[i], s.req.KeysOnly)
		s.buf = append(s.buf, '\n')
	}
	if !s.write(w) || !page.More {
		return false
	}
	if s.req.Limit > 0 {
		if s.limit -= len(page.KVs); s.limit <= 0 {
			return false
		}
	}
	s.req.Range = after(s.req, page.KVs[len(page.KVs)-1].Key)
	return true
}

// write sends what is buffered and tells whether the client still takes it.
func (s *stream) write(w http.ResponseWriter) bool {
	// Both are refused by a writer that has no connection, as in tests.
	_ = s.rc.SetWriteDeadline(time.Now().Add(streamWriteTimeout))
	if _, err := w.Write(s.buf); err != nil {
		return false
	}
	_ = s.rc.Flush()
	return true
}

// end makes err the last line: {"error":{…}}, a problem document.
func (s *stream) end(w http.ResponseWriter, r *http.Request, err error) {
	p, _ := problemOf(r, err)
	line, err := json.Marshal(map[string]kvjson.Problem{"error": p})
	if err != nil {
		panic(err) // a struct of strings always has a JSON form
	}
	s.buf = append(line, '\n')
	s.write(w)
}
