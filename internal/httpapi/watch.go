package httpapi

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// watchRoute is where watches are made; a path that begins with it and ends
// with progressSuffix asks the one in between for progress.
const (
	watchRoute     = "/v1/watch"
	progressSuffix = "/progress"
)

// eventStreamType is the media type of server-sent events.
const eventStreamType = "text/event-stream"

// The bounds of what a watch says of its progress.
const (
	progressPauseMin = 100 * time.Millisecond
	progressPauseMax = time.Hour
)

// watchRequest is what a client asks of a watch.
type watchRequest struct {
	kv.WatchRequest
	// progressPause is how long nothing comes before progress is told; 0 if
	// it is not asked for.
	progressPause time.Duration
	ndjson        bool
}

// watch is GET /v1/watch: changes as server-sent events or as NDJSON, until
// somebody has enough. The header goes out once the watch is there, so that an
// error before has a status code of its own.
func (a *api) watch(w http.ResponseWriter, r *http.Request) error {
	req, err := a.parseWatch(r)
	if err != nil {
		return err
	}
	at, err := a.beforeWatch(r, &req.WatchRequest)
	if err != nil {
		return err
	}
	fromNow := req.From == 0
	if fromNow {
		req.From = at + 1
	}
	ctx, stop := a.untilDrained(r.Context())
	defer stop()
	stream, err := a.store.Watch(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	if _, err := stream.Add(req.WatchRequest); err != nil {
		return err
	}
	a.reached(w, at)
	name := rand.Text()
	a.streams.Store(name, stream)
	defer a.streams.Delete(name)
	w.Header()[kvjson.Watch] = []string{name}
	beginStream(w, req.ndjson)
	if r.Method == http.MethodHead {
		return nil
	}
	a.metrics.watches.Inc()
	defer a.metrics.watches.Dec()
	return newWatcher(a, w, stream, &req).run(ctx, r, fromNow)
}

// askProgress is POST /v1/watch/{name}/progress: the watch is to tell once it
// has told everything until now.
func (a *api) askProgress(w http.ResponseWriter, r *http.Request) error {
	if q := parseQuery(r); q.err != nil {
		return q.err
	}
	path := r.URL.Path
	name := path[len(watchRoute)+1 : len(path)-len(progressSuffix)]
	stream, ok := a.streams.Load(name)
	if !ok {
		return problemError{kvjson.WatchNotFound.New(
			"it has ended, or another node serves it")}
	}
	stream.(kv.WatchStream).Progress()
	setRevision(w.Header(), a.lastSeen(r))
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// parseWatch reads the query and the header of a watch.
func (a *api) parseWatch(r *http.Request) (watchRequest, error) {
	q := parseQuery(r, "key", "prefix", "start", "end", "revision", "prev", "filter", "progress")
	req := watchRequest{
		WatchRequest: kv.WatchRequest{
			Range:  q.keys(),
			From:   q.revision("revision"),
			PrevKV: q.flag("prev"),
		},
		progressPause: q.duration("progress", progressPauseMin, progressPauseMax),
		ndjson:        wantsNDJSON(r.Header),
	}
	for filter := range strings.SplitSeq(q.values.Get("filter"), ",") {
		switch filter {
		case "":
		case "noput":
			req.NoPut = true
		case "nodelete":
			req.NoDelete = true
		default:
			q.fail("filter is %q, it must be noput, nodelete, or both with a comma", filter)
		}
	}
	if last, given := r.Header["Last-Event-Id"]; given {
		id, err := strconv.ParseInt(last[0], 10, 64)
		if err != nil || id < 0 || id >= int64(kv.RevisionMax) {
			q.fail("Last-Event-ID is %q, it must be the id of an event", last[0])
		}
		// Who goes by the revisions of progress may be below where the watch begins.
		req.From = max(req.From, kv.Revision(id)+1)
	}
	if q.err != nil {
		return req, q.err
	}
	return req, a.limits.CheckWatch(&req.WatchRequest)
}

// beforeWatch returns the current revision, or one not far behind if the watch
// begins in the future. It refuses a watch of what is compacted, and one that
// nobody could serve.
func (a *api) beforeWatch(r *http.Request, req *kv.WatchRequest) (kv.Revision, error) {
	key := req.Start
	if len(key) == 0 {
		key = []byte{0}
	}
	probe := kv.RangeRequest{
		Range:    kv.PointRange(key[:min(len(key), a.limits.KeyBytesMax)]),
		Revision: req.From,
		KeysOnly: true,
	}
	resp, err := a.store.Range(r.Context(), probe)
	switch {
	case errors.Is(err, kv.ErrFutureRevision):
		return a.lastSeen(r), nil
	case errors.Is(err, kv.ErrCompacted):
		p := kvjson.KindOf(err).New(err.Error())
		p.Compacted = a.oldest(r.Context(), req)
		return 0, problemError{p}
	}
	return resp.Revision, err
}

// oldest is the oldest revision that a watch of what is compacted could begin
// at instead, or 0 if that is not to be known.
func (a *api) oldest(ctx context.Context, req *kv.WatchRequest) kv.Revision {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	stream, err := a.store.Watch(ctx)
	if err != nil {
		return 0
	}
	defer stream.Close()
	if _, err := stream.Add(*req); err != nil {
		return 0
	}
	for {
		resp, err := stream.Next(ctx)
		if err != nil || resp.Compacted != 0 {
			return resp.Compacted
		}
	}
}

// untilDrained is ctx, ended by kv.ErrStopped once the server shuts down.
func (a *api) untilDrained(ctx context.Context) (drained context.Context, stop func()) {
	drained, cancel := context.WithCancelCause(ctx)
	leave := context.AfterFunc(a.draining, func() { cancel(kv.ErrStopped) })
	return drained, func() {
		leave()
		cancel(nil)
	}
}

// beginStream sends the header of a watch.
func beginStream(w http.ResponseWriter, ndjson bool) {
	header := w.Header()
	header["Content-Type"] = []string{eventStreamType}
	if ndjson {
		header["Content-Type"] = []string{kvjson.NDJSONType}
	}
	header["X-Content-Type-Options"] = noSniff
	header["Cache-Control"] = noCache
	// Some proxies hold answers back unless told not to.
	header["X-Accel-Buffering"] = []string{"no"}
	w.WriteHeader(http.StatusOK)
	// If it fails the next write does.
	_ = http.NewResponseController(w).Flush()
}

// duration is 0 if name is not given, and else from least to most.
func (q *query) duration(name string, least, most time.Duration) time.Duration {
	if !q.values.Has(name) || q.err != nil {
		return 0
	}
	value := q.values.Get(name)
	d, err := time.ParseDuration(value)
	if err != nil || d < least || d > most {
		q.fail("%s is %q, it must be a duration from %v to %v", name, value, least, most)
		return 0
	}
	return d
}
