package httpapi

import (
	"net/http"
	"strconv"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// Header values that never change; net/http does not write to them.
var (
	bytesType = []string{kvjson.BytesType}
	noSniff   = []string{"nosniff"}
	noCache   = []string{"no-cache"}
)

// answer writes a whole response.
func answer(w http.ResponseWriter, r *http.Request, code int, mediaType string, body []byte) {
	header := w.Header()
	header["Content-Type"] = []string{mediaType}
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	header["X-Content-Type-Options"] = noSniff
	w.WriteHeader(code)
	if r.Method != http.MethodHead {
		// If it fails the client is gone, and nobody is left to tell.
		_, _ = w.Write(body)
	}
}

func setRevision(header http.Header, revision kv.Revision) {
	header[kvjson.Revision] = []string{strconv.FormatInt(int64(revision), 10)}
}

// reached notes and tells that an answer came at revision.
func (a *api) reached(w http.ResponseWriter, revision kv.Revision) {
	setRevision(w.Header(), revision)
	for {
		seen := a.seen.Load()
		if int64(revision) <= seen || a.seen.CompareAndSwap(seen, int64(revision)) {
			return
		}
	}
}

// lastSeen is the highest revision that was answered with, or else what the
// node itself has seen.
func (a *api) lastSeen(r *http.Request) kv.Revision {
	if seen := a.seen.Load(); seen != 0 {
		return kv.Revision(seen)
	}
	status, err := a.store.Status(r.Context())
	if err != nil {
		return 0
	}
	return status.Revision
}

// describeKey sets the headers that say what a key is. One array backs all
// values, as this runs for every read.
func describeKey(header http.Header, pair *kv.KeyValue) {
	values := [4]string{
		etag(pair.ModRevision),
		strconv.FormatInt(int64(pair.CreateRevision), 10),
		strconv.FormatInt(pair.Version, 10),
	}
	header[kvjson.ETag] = values[0:1:1]
	header[kvjson.CreateRevision] = values[1:2:2]
	header[kvjson.Version] = values[2:3:3]
	if pair.Lease != 0 {
		values[3] = leaseText(pair.Lease)
		header[kvjson.Lease] = values[3:4:4]
	}
}

// etag is the entity tag of a key's version.
func etag(mod kv.Revision) string {
	b := make([]byte, 0, 20)
	b = append(b, '"')
	b = strconv.AppendInt(b, int64(mod), 10)
	return string(append(b, '"'))
}
