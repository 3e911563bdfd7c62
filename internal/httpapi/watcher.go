package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// watchBufferMax is how much of a long answer is put together before it is
// written, and how much room is kept for the next.
const watchBufferMax = 64 << 10

// watcher is a watch under way. What it says is one of kvjson's messages: the
// data of a server-sent event, or a line of NDJSON. The id of an event is the
// revision up to which a client that saw it has seen everything.
type watcher struct {
	w      http.ResponseWriter
	rc     *http.ResponseController
	stream kv.WatchStream
	ndjson bool
	// next is the first revision that is not said yet.
	next kv.Revision

	heartbeat time.Duration
	// written is when anything was sent, told when anything was said.
	written, told time.Time
	// progressPause is how long nothing is said before progress is asked for,
	// 0 if nobody wants to know; asked tells that its answer is on the way.
	progressPause time.Duration
	asked         bool
	// wait ends before something of this is due.
	wait bounded

	buf    []byte
	events prometheus.Counter
}

func newWatcher(
	a *api, w http.ResponseWriter, stream kv.WatchStream, req *watchRequest,
) *watcher {
	now := time.Now()
	s := &watcher{
		w:             w,
		rc:            http.NewResponseController(w),
		stream:        stream,
		ndjson:        req.ndjson,
		next:          req.From,
		heartbeat:     a.heartbeat,
		written:       now,
		told:          now,
		progressPause: req.progressPause,
		events:        a.metrics.watchEvents,
	}
	return s
}

// run says what the stream tells until ctx ends, the stream does, or the
// client takes no more. Where the watch begins now, and the client knows not
// when that is, it is said first.
func (s *watcher) run(ctx context.Context, r *http.Request, fromNow bool) error {
	switch {
	case fromNow:
		if !s.sayProgress(s.next - 1) {
			return nil
		}
	case s.mayAsk():
		s.ask()
	}
	defer s.wait.end()
	for {
		resp, err := s.await(ctx)
		switch {
		case errors.Is(err, errQuiet):
			if !s.breakSilence() {
				return nil
			}
		case err != nil:
			return s.end(ctx, r, err)
		case !s.say(&resp):
			return nil
		}
	}
}

// errQuiet ends a wait in which nothing happened.
var errQuiet = errors.New("nothing happened")

// await waits for what comes next, or until it is time to break the silence.
func (s *watcher) await(ctx context.Context) (kv.WatchResponse, error) {
	until := s.written.Add(s.heartbeat)
	if due := s.told.Add(s.progressPause); s.mayAsk() && due.Before(until) {
		until = due
	}
	s.wait.set(ctx, until)
	resp, err := s.stream.Next(s.wait.ctx)
	if err != nil && ctx.Err() == nil && s.wait.ctx.Err() != nil {
		return resp, errQuiet
	}
	return resp, err
}

// bounded is a context with a deadline, kept for as long as it is not late. It
// may be early: who waits for it looks at what is due, and waits again.
type bounded struct {
	ctx    context.Context
	cancel context.CancelFunc
	until  time.Time
}

// set makes b end at until, or before.
func (b *bounded) set(ctx context.Context, until time.Time) {
	if b.ctx == nil || b.ctx.Err() != nil || until.Before(b.until) {
		b.end()
		b.ctx, b.cancel = context.WithDeadline(ctx, until)
		b.until = until
	}
}

func (b *bounded) end() {
	if b.cancel != nil {
		b.cancel()
	}
}

// breakSilence does what is due when nothing happened, and tells whether the
// client still listens.
func (s *watcher) breakSilence() bool {
	now := time.Now()
	if s.mayAsk() && now.Sub(s.told) >= s.progressPause {
		s.ask()
	}
	if now.Sub(s.written) < s.heartbeat {
		return true
	}
	if s.ndjson {
		s.buf = append(s.buf[:0], "{}\n"...)
	} else {
		s.buf = append(s.buf[:0], ":\n\n"...)
	}
	return s.flush()
}

func (s *watcher) mayAsk() bool { return s.progressPause > 0 && !s.asked }

func (s *watcher) ask() {
	s.asked = true
	s.stream.Progress()
}

// say says what resp tells, a message for each revision, and tells whether
// there is more to come.
func (s *watcher) say(resp *kv.WatchResponse) bool {
	switch {
	case resp.Compacted != 0:
		s.buf = s.begin(s.buf[:0], "compacted", 0)
		s.buf = s.finish(kvjson.AppendCompacted(s.buf, resp.Compacted))
		s.flush()
		return false
	case resp.ID == 0:
		s.asked = false
		return s.sayProgress(resp.Revision)
	case len(resp.Events) == 0:
		return true
	}
	return s.sayEvents(resp.Events)
}

func (s *watcher) sayEvents(events []kv.Event) bool {
	s.events.Add(float64(len(events)))
	s.buf = s.buf[:0]
	for len(events) > 0 {
		revision, n := events[0].KV.ModRevision, 1
		for n < len(events) && events[n].KV.ModRevision == revision {
			n++
		}
		s.buf = s.begin(s.buf, "", revision)
		s.buf = s.finish(kvjson.AppendChanges(s.buf, revision, events[:n]))
		s.next = revision + 1
		events = events[n:]
		if len(s.buf) >= watchBufferMax {
			if !s.write() {
				return false
			}
			s.buf = s.buf[:0]
		}
	}
	s.told = time.Now()
	return s.flush()
}

// sayProgress says that everything up to revision was said. A watch from the
// future has got further than that: its client goes on where it begins.
func (s *watcher) sayProgress(revision kv.Revision) bool {
	s.next = max(s.next, revision+1)
	s.buf = s.begin(s.buf[:0], "progress", s.next-1)
	s.buf = s.finish(kvjson.AppendProgress(s.buf, revision))
	s.told = time.Now()
	return s.flush()
}

// end says why there is no more, to whom still listens. A node that stops is
// nothing to complain of.
func (s *watcher) end(ctx context.Context, r *http.Request, err error) error {
	if r.Context().Err() != nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	p, _ := problemOf(r, err)
	message, failed := json.Marshal(map[string]kvjson.Problem{"error": p})
	if failed != nil {
		panic(failed) // a struct of strings always has a JSON form
	}
	s.buf = s.finish(append(s.begin(s.buf[:0], "problem", 0), message...))
	s.flush()
	if errors.Is(err, kv.ErrStopped) {
		return nil
	}
	return err
}

// begin appends what stands before a message: its name, if it has one, and
// its id, if that is not 0.
func (s *watcher) begin(buf []byte, name string, id kv.Revision) []byte {
	if s.ndjson {
		return buf
	}
	if id != 0 {
		buf = append(buf, "id: "...)
		buf = strconv.AppendInt(buf, int64(id), 10)
		buf = append(buf, '\n')
	}
	if name != "" {
		buf = append(buf, "event: "...)
		buf = append(buf, name...)
		buf = append(buf, '\n')
	}
	return append(buf, "data: "...)
}

func (s *watcher) finish(buf []byte) []byte {
	if s.ndjson {
		return append(buf, '\n')
	}
	return append(buf, "\n\n"...)
}

// write writes what is buffered and tells whether the client takes it.
func (s *watcher) write() bool {
	// A writer without a connection, as in tests, refuses deadlines.
	_ = s.rc.SetWriteDeadline(time.Now().Add(streamWriteTimeout))
	_, err := s.w.Write(s.buf)
	return err == nil
}

// flush writes what is buffered, now.
func (s *watcher) flush() bool {
	taken := s.write() && s.rc.Flush() == nil
	s.written = time.Now()
	if cap(s.buf) > watchBufferMax {
		s.buf = nil
	}
	return taken
}
