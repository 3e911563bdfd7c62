package replica

import (
	"slices"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/wire"
)

// feeds are the requests for the shard's events. Any replica serves them, from
// what is closed here: only that is complete. One that is level with the shard
// is answered from the ring; one that lags, from the history, in parts (Work).
//
//	Submit ──> held ──closed moves on──> ring: events, or none up to Want ──> Fed
//	             └────behind the ring──> history, a part ─────────────────────┘
type feeds struct {
	ring ring
	held []*feed
	// asked is when the last request came.
	asked wire.Instant
	// seen is the closed revision that all held feeds were looked at with, but
	// for fresh ones.
	seen  kv.Revision
	fresh bool
	// turn is where in held the next part of the history is read.
	turn   int
	closes closes
}

// feed is a request for events that is not answered yet.
type feed struct {
	origin Origin
	req    wire.Feed
	since  wire.Instant
	// after is how far it was looked for events, in vain.
	after kv.Revision
}

const (
	feedsMax = 4096
	// feedHold is how long a request waits for events, ringKeep how long events
	// are gathered for nobody.
	feedHold = wire.Instant(time.Second)
	ringKeep = wire.Instant(10 * time.Second)
	// stretchEntries is how many entries of the history are walked in one go.
	stretchEntries = 1000
	// feedBytesMax bounds an answer, whatever is asked for.
	feedBytesMax = 1 << 20
)

// submitFeed takes a request for events. It takes the place of an earlier one.
func (r *Replica) submitFeed(now wire.Instant, from Origin, req *wire.Feed, out *Output) {
	f := &r.feeds
	switch {
	case r.role.restoring > 0 || r.state.applied.Index == 0:
		r.answer(from, &wire.Response{Code: wire.CodeRetry}, out)
		return
	case !r.covers([]kv.Range{req.Keys}):
		r.answer(from, &wire.Response{Code: wire.CodeWrongShard}, out)
		return
	}
	f.held = slices.DeleteFunc(f.held, func(old *feed) bool {
		return old.origin.Node == from.Node && old.req.Feed == req.Feed
	})
	if len(f.held) >= feedsMax {
		r.fail(from, kv.ErrTooManyRequests, out)
		return
	}
	if !f.ring.on {
		f.ring.start(r.state.applied.Revision, r.cfg.Bounds.RingBytesMax)
	}
	f.held = append(f.held, &feed{origin: from, req: *req, since: now, after: req.After})
	f.asked, f.fresh = now, true
}

// applied takes note of writes that are being applied, at a revision that may
// lie below ones applied before. They are told once rev is closed.
func (f *feeds) applied(rev kv.Revision, writes []mvcc.Write, subs []uint32) {
	f.ring.add(rev, writes, subs)
}

// restored forgets what was gathered: a snapshot has replaced the shard's state,
// with revision as the highest.
func (f *feeds) restored(revision kv.Revision) {
	if f.ring.on {
		f.ring.start(revision, f.ring.bytesMax)
	}
	f.fresh = true
}

// Wanted is a revision that somebody waits for to be closed here, and that
// neither is nor was promised; 0 if there is none. It was handed out. Below the
// compaction floor nobody can read: as long as that is not closed, nothing can be
// read here that does not go through the leader.
func (r *Replica) Wanted() kv.Revision {
	want := max(r.feeds.closes.want, r.state.compacted)
	for _, fd := range r.feeds.held {
		want = max(want, fd.req.Want)
	}
	if want <= max(r.closed.upTo, r.closed.promise) {
		return 0
	}
	return want
}

// tendFeeds answers what can be answered.
func (r *Replica) tendFeeds(now wire.Instant, out *Output) {
	f := &r.feeds
	if r.role.restoring > 0 {
		return
	}
	r.closeWanted(now)
	if len(f.held) == 0 && len(f.closes.waiting) == 0 {
		return
	}
	r.answerCloses(out)
	if r.closed.upTo == f.seen && !f.fresh {
		return
	}
	f.seen, f.fresh = r.closed.upTo, false
	f.held = slices.DeleteFunc(f.held, func(fd *feed) bool { return r.serveFeed(fd, out) })
}

// serveFeed answers a request from memory, if there is something to tell. It
// reports whether that is the end of it.
func (r *Replica) serveFeed(fd *feed, out *Output) bool {
	g, closed := &r.feeds.ring, r.closed.upTo
	switch {
	case closed <= fd.after:
		return false
	case !g.covers(fd.after):
		return false // Work reads the history
	}
	var prev func(*ringChange) []wire.FedEvent
	if fd.req.PrevKV {
		prev = r.withPrev
	}
	events, upTo := g.collect(fd.after, closed, fd.req.Keys, fd.bytesMax(), prev)
	return r.feedOn(fd, events, upTo, out)
}

func (fd *feed) bytesMax() int { return int(min(fd.req.BytesMax, feedBytesMax)) }

// feedOn takes what was found up to upTo, and answers if that is worth it.
func (r *Replica) feedOn(fd *feed, events []wire.FedEvent, upTo kv.Revision, out *Output) bool {
	fd.after = upTo
	wanted := fd.req.Want > fd.req.After && upTo >= fd.req.Want
	if len(events) == 0 && !wanted {
		return false
	}
	r.answer(fd.origin, &wire.Response{Fed: &wire.Fed{UpTo: upTo, Events: events}}, out)
	return true
}

// workFeeds reads a part of the history for one of the requests that lag, and
// reports whether there was one.
func (r *Replica) workFeeds(out *Output) bool {
	f := &r.feeds
	if r.role.restoring > 0 {
		return false
	}
	for i := range f.held {
		at := (f.turn + i) % len(f.held)
		fd := f.held[at]
		if r.closed.upTo <= fd.after || f.ring.covers(fd.after) {
			continue
		}
		f.turn = at + 1
		if r.readHistory(fd, out) {
			f.held = slices.Delete(f.held, at, at+1)
			f.turn--
		}
		f.fresh = true // it may be level with the ring now
		return true
	}
	return false
}

// readHistory reads the next part of the history for a request. It reports
// whether that answered it.
func (r *Replica) readHistory(fd *feed, out *Output) bool {
	if floor := r.state.compacted; fd.after+1 < floor {
		r.answer(fd.origin, &wire.Response{Fed: &wire.Fed{UpTo: fd.after, Compacted: floor}}, out)
		return true
	}
	list, upTo, err := mvcc.ReadStretch(r.cfg.Engine, r.cfg.Shard, mvcc.Stretch{
		After: fd.after, UpTo: r.closed.upTo, Keys: fd.req.Keys,
		EntriesMax: stretchEntries, BytesMax: fd.bytesMax(),
	})
	if err != nil {
		r.fail(fd.origin, err, out)
		return true
	}
	events, upTo := r.fedEvents(fd, list, upTo)
	return r.feedOn(fd, events, upTo, out)
}

// fedEvents makes an answer of what was read up to upTo. The versions before may
// be much larger than the events: so the answer may end earlier, with a revision.
func (r *Replica) fedEvents(
	fd *feed, list []mvcc.Event, upTo kv.Revision,
) ([]wire.FedEvent, kv.Revision) {
	events := make([]wire.FedEvent, 0, len(list))
	bytes := 0
	for i := range list {
		e := &list[i]
		if i > 0 && e.Revision > list[i-1].Revision && bytes >= fd.bytesMax() {
			return events, list[i-1].Revision
		}
		fed := wire.FedEvent{Event: kv.Event{KV: e.KV, Deleted: e.Deleted}, Sub: e.Sub}
		if fd.req.PrevKV {
			fed.Prev = r.before(&fed)
		}
		events = append(events, fed)
		bytes += sizeOf(&fed)
	}
	return events, upTo
}

// withPrev is a change's events with the versions before them, as far as they
// are not compacted.
func (r *Replica) withPrev(c *ringChange) []wire.FedEvent {
	if c.rev-1 < r.state.compacted {
		return c.events
	}
	if c.withPrev != nil {
		return c.withPrev
	}
	events, bytes := slices.Clone(c.events), 0
	for i := range events {
		events[i].Prev = r.before(&events[i])
		bytes += sizeOf(&events[i])
	}
	if bytes <= 2*c.bytes { // else it would not be bounded what the ring keeps
		c.withPrev = events
	}
	return events
}

// before is the version that an event replaced, nil if there was none or it is
// compacted.
func (r *Replica) before(e *wire.FedEvent) *kv.KeyValue {
	at := e.KV.ModRevision - 1
	if at < r.state.compacted || !e.Deleted && e.KV.Version == 1 {
		return nil
	}
	view := mvcc.View{Reader: r.cfg.Engine, At: at, Current: at}
	resp, err := view.Range(kv.RangeRequest{Range: kv.PointRange(e.KV.Key)})
	if err != nil || len(resp.KVs) == 0 {
		return nil
	}
	return &resp.KVs[0]
}

// expireFeeds answers what has waited for long, and stops to gather events for
// nobody.
func (r *Replica) expireFeeds(now wire.Instant, out *Output) {
	f := &r.feeds
	f.held = slices.DeleteFunc(f.held, func(fd *feed) bool {
		if now-fd.since < feedHold {
			return false
		}
		r.answer(fd.origin, &wire.Response{Fed: &wire.Fed{UpTo: fd.after}}, out)
		return true
	})
	if f.ring.on && len(f.held) == 0 && now-f.asked > ringKeep {
		f.ring.stop()
	}
	r.expireCloses(now, out)
}
