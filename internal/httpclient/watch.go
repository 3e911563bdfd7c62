package httpclient

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// progressPause is how long a node may say nothing before it tells progress,
// so that a quiet watch does not fall behind compactions.
const progressPause = 10 * time.Minute

// watch is one of a stream's watches. Its goroutine reads one connection at a
// time; the next one begins where the last one got.
type watch struct {
	stream *stream
	// id is set when the watch joins the stream.
	id kv.WatchID
	// ctx ends with the stream, or when the watch is removed.
	ctx    context.Context
	cancel context.CancelFunc
	query  url.Values
	// next is the first revision to ask for; 0 is what comes after now.
	next kv.Revision
	// compacted is what ends the watch, once it is not 0.
	compacted kv.Revision

	// The stream's mutex guards the connection under way, nil if there is
	// none, and whether the watch has ended.
	conn  *connection
	ended bool
}

func newWatch(s *stream, req *kv.WatchRequest) *watch {
	w := &watch{stream: s, next: req.From, query: watchQuery(req)}
	w.ctx, w.cancel = context.WithCancel(s.ctx)
	return w
}

// watchQuery is what stays the same in all requests of a watch.
func watchQuery(req *kv.WatchRequest) url.Values {
	query := url.Values{"progress": {progressPause.String()}}
	keys := kvjson.Bounds(req.Range)
	query.Set("start", string(keys.Start))
	if keys.End != nil {
		query.Set("end", string(keys.End))
	}
	if req.PrevKV {
		query.Set("prev", "true")
	}
	var filters []string
	if req.NoPut {
		filters = append(filters, "noput")
	}
	if req.NoDelete {
		filters = append(filters, "nodelete")
	}
	if filters != nil {
		query.Set("filter", strings.Join(filters, ","))
	}
	return query
}

// run reads connections, first conn if there is one, until the watch ends.
func (w *watch) run(conn *connection) {
	defer w.cancel()
	var pause backoff
	for w.compacted == 0 && w.ctx.Err() == nil {
		begin := time.Now()
		var err error
		if conn == nil {
			conn, err = w.open()
		} else {
			err = w.read(conn)
			conn = nil
		}
		reopen := errors.Is(err, errReopen)
		if reopen || time.Since(begin) > pauseMax {
			pause = backoff{}
		}
		// What went wrong is tried again, until somebody ends the watch.
		if err != nil && !reopen && w.compacted == 0 {
			pause.wait(w.ctx)
		}
	}
	if w.compacted != 0 {
		w.stream.tell(w.ctx, kv.WatchResponse{ID: w.id, Compacted: w.compacted})
	}
	w.stream.end(w)
}

// errReopen ends a connection in order to open another.
var errReopen = errors.New("to be opened anew")

// open asks the endpoints for what the watch has not told yet. If that is
// compacted, it says so in the watch as well.
func (w *watch) open() (*connection, error) {
	call := &call{method: http.MethodGet, path: "/v1/watch", query: w.query}
	call.query.Del("revision")
	if w.next != 0 {
		call.query.Set("revision", strconv.FormatInt(int64(w.next), 10))
	}
	client, round := w.stream.client, w.stream.targeted()
	var conn *connection
	err := client.eachEndpoint(w.ctx, func(to *url.URL) (answered bool, err error) {
		conn, err = client.connect(w.ctx, to, call)
		return conn != nil, err
	})
	if err != nil {
		var compacted *compactedError
		if errors.As(err, &compacted) {
			w.compacted = compacted.oldest
		}
		return nil, err
	}
	conn.round = round
	if w.next == 0 {
		w.next = conn.began + 1
	}
	return conn, nil
}

// read takes what conn tells until it ends, and returns why: errReopen if that
// was in order to open another. Nothing is wrong with what is compacted.
func (w *watch) read(conn *connection) error {
	defer conn.close()
	if w.stream.opened(w, conn) {
		w.stream.client.askProgress(w.ctx, conn)
	}
	defer w.stream.opened(w, nil)
	for {
		resp, err := conn.next()
		switch {
		case err != nil:
			if w.ctx.Err() == nil && !errors.Is(err, errReopen) {
				w.stream.client.leave(conn.endpoint)
			}
			return err
		case resp.Compacted != 0:
			w.compacted = resp.Compacted
			return nil
		}
		w.take(resp)
	}
}

// take passes on what a connection told.
func (w *watch) take(resp kv.WatchResponse) {
	switch {
	case resp.Revision == 0:
	case len(resp.Events) == 0:
		w.next = max(w.next, resp.Revision+1)
		w.stream.progressed(w, resp.Revision)
	case resp.Revision >= w.next:
		w.next = resp.Revision + 1
		resp.ID = w.id
		w.stream.tell(w.ctx, resp)
	}
}

// The bounds of a pause between two attempts.
const (
	pauseMin = 50 * time.Millisecond
	pauseMax = 2 * time.Second
)

// backoff is a pause that doubles each time.
type backoff struct{ last time.Duration }

// wait waits for about the next pause; it returns false if ctx ends before.
func (b *backoff) wait(ctx context.Context) bool {
	b.last = min(max(2*b.last, pauseMin), pauseMax)
	timer := time.NewTimer(b.last/2 + rand.N(b.last/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
