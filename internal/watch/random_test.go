package watch

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/wire"
)

// world is all that a hub can't see: shards with a history, replicas that know
// more or less of it, messages that are lost or late, receivers that are slow.
type world struct {
	t       *testing.T
	rng     *rand.Rand
	hub     *Hub
	shards  placement.Map
	now     wire.Instant
	current kv.Revision
	history []wire.FedEvent
	closed  map[[2]uint64]kv.Revision
	// requests are under way.
	requests []Send
	queues   map[StreamID][]Delivery
	watches  map[[2]uint64]*expected
	// asked are the questions for progress, in order.
	asked  map[StreamID][]question
	lastID kv.WatchID
	// calm tells that no answer is lost unnoticed any more.
	calm   bool
	counts struct{ events, progresses int }
}

// question is what was current when it was asked, and the last watch then.
type question struct {
	at   kv.Revision
	last kv.WatchID
}

// expected is a watch and what it was told.
type expected struct {
	req    kv.WatchRequest
	from   kv.Revision
	upTo   kv.Revision
	events []kv.Event
	// listening is false once it was removed.
	listening bool
}

func newWorld(t *testing.T, seed uint64) *world {
	rng := rand.New(rand.NewPCG(seed, 3))
	layout := placement.Layout{
		Nodes: []kv.NodeID{1, 2, 3, 4}, Replicas: 3, Shards: 3,
		SplitAt: [][]byte{[]byte("d"), []byte("h")},
	}
	m, err := layout.Build()
	if err != nil {
		t.Fatal(err)
	}
	b := DefaultBounds()
	b.QueueBytesMax, b.AllBytesMax = 500+rng.IntN(5000), 2000+rng.IntN(20_000)
	b.FeedBytesMax, b.PendingBytesMax = 300+rng.IntN(2000), 300+rng.IntN(2000)
	b.RecentBytesMax, b.ChasesMax = rng.IntN(4000), 1+rng.IntN(3)
	w := &world{
		t: t, rng: rng, shards: m, now: wire.Instant(time.Hour), current: 1,
		closed: map[[2]uint64]kv.Revision{}, queues: map[StreamID][]Delivery{},
		watches: map[[2]uint64]*expected{}, asked: map[StreamID][]question{},
		hub: New(Config{
			Node: kv.NodeID(1 + rng.IntN(4)), Map: m, Limits: kv.DefaultLimits, Bounds: b,
		}),
	}
	for id := range StreamID(3) {
		w.hub.Open(id + 1)
	}
	return w
}

func (w *world) key() []byte { return []byte{byte('a' + w.rng.IntN(12))} }

func (w *world) write() {
	w.current += kv.Revision(1 + w.rng.IntN(2))
	for sub := range 1 + w.rng.IntN(3) {
		e := wire.FedEvent{Sub: uint32(sub)}
		e.KV = kv.KeyValue{Key: w.key(), ModRevision: w.current}
		if e.Deleted = w.rng.IntN(3) == 0; !e.Deleted {
			e.KV.Value = fmt.Append(nil, w.current, ".", sub)
		}
		w.history = append(w.history, e)
	}
}

func (w *world) add() {
	w.lastID++
	req := kv.WatchRequest{
		Range: kv.PointRange(w.key()), PrevKV: w.rng.IntN(4) == 0,
		NoPut: w.rng.IntN(5) == 0, NoDelete: w.rng.IntN(5) == 0,
	}
	switch a, b := w.key(), w.key(); w.rng.IntN(3) {
	case 0:
		req.Range = kv.Range{}
	case 1:
		if string(a) < string(b) {
			req.Range = kv.Range{Start: a, End: b}
		}
	}
	if w.rng.IntN(2) == 0 {
		req.From = max(1, w.current+5-kv.Revision(w.rng.IntN(40)))
	}
	on := StreamID(1 + w.rng.IntN(3))
	w.watches[[2]uint64{uint64(on), uint64(w.lastID)}] = &expected{
		req: req, from: req.From, listening: true,
	}
	w.hub.Add(w.now, on, w.lastID, req)
}

func (w *world) remove() {
	on, id := StreamID(1+w.rng.IntN(3)), 1+kv.WatchID(w.rng.IntN(int(w.lastID)+1))
	if e := w.watches[[2]uint64{uint64(on), uint64(id)}]; e != nil {
		e.listening = false
	}
	w.hub.Remove(w.now, on, id)
}

// pass takes the hub's effects in.
func (w *world) pass() {
	eff := w.hub.Pass(w.now)
	for _, snd := range eff.Sends {
		w.requests = slices.DeleteFunc(w.requests, func(old Send) bool {
			a, b := old.Request.Feed, snd.Request.Feed
			return a != nil && b != nil && a.Feed == b.Feed && old.To == snd.To
		})
		w.requests = append(w.requests, snd)
	}
	for _, b := range eff.Begun {
		if b.Err != nil {
			w.t.Fatal(b.Err)
		}
		e := w.watches[[2]uint64{uint64(b.Stream), uint64(b.ID)}]
		if e.from == 0 {
			e.from = w.current + 1
		}
		e.upTo = e.from - 1
	}
	for _, d := range eff.Deliveries {
		w.queues[d.Stream] = append(w.queues[d.Stream], d)
	}
}

// answer brings the answer to some request, or loses it.
func (w *world) answer() {
	if len(w.requests) == 0 {
		return
	}
	i := w.rng.IntN(len(w.requests))
	snd := w.requests[i]
	resp := &wire.Response{ID: snd.Request.ID}
	switch chance := w.rng.IntN(20); {
	case chance == 0:
		w.hub.Lost(w.now, snd.Request)
	case chance == 1:
		resp.Code = wire.CodeRetry
		w.hub.Receive(w.now, snd.To, resp)
	case chance == 2 && !w.calm: // nothing comes
	case snd.Request.Oracle != nil:
		resp.Oracle = &wire.OracleResponse{Base: w.current + 1}
		w.hub.Receive(w.now, snd.To, resp)
	default:
		if resp.Fed = w.feed(snd); resp.Fed == nil {
			return // held
		}
		w.hub.Receive(w.now, snd.To, resp)
	}
	w.pass() // what begins now begins at what is current now
	w.requests = slices.DeleteFunc(w.requests, func(s Send) bool {
		return s.Request.ID == snd.Request.ID
	})
}

// feed is what a replica answers, nil if it waits.
func (w *world) feed(snd Send) *wire.Fed {
	req := snd.Request.Feed
	at := [2]uint64{uint64(snd.To), uint64(snd.Request.Shard)}
	if req.Want > w.current {
		w.t.Fatalf("%v is demanded, the last is %v", req.Want, w.current)
	}
	w.closed[at] = max(w.closed[at], min(req.Want, w.closed[at]+20))
	if w.rng.IntN(2) == 0 {
		w.closed[at] += kv.Revision(w.rng.Int64N(int64(w.current-w.closed[at]) + 1))
	}
	fed, bytes := &wire.Fed{UpTo: req.After}, 0
	for _, e := range w.history {
		rev := e.KV.ModRevision
		if rev <= req.After || rev > w.closed[at] {
			continue
		}
		if bytes >= int(req.BytesMax) && rev > fed.UpTo {
			return fed
		}
		fed.UpTo = rev
		if req.Keys.Contains(e.KV.Key) {
			if !w.shards.Shard(snd.Request.Shard).Range.ContainsRange(req.Keys) {
				w.t.Fatalf("%v is asked for %v", snd.Request.Shard, req.Keys)
			}
			if req.PrevKV {
				e.Prev = &kv.KeyValue{Key: e.KV.Key}
			}
			fed.Events = append(fed.Events, e)
			bytes += eventSize(&e.Event)
		}
	}
	fed.UpTo = max(fed.UpTo, w.closed[at])
	if len(fed.Events) == 0 && (fed.UpTo < req.Want || req.Want <= req.After) &&
		w.rng.IntN(8) > 0 {
		return nil
	}
	return fed
}

// take has a receiver read a response.
func (w *world) take(on StreamID) bool {
	queue := w.queues[on]
	if len(queue) == 0 {
		return false
	}
	d := queue[0]
	w.queues[on] = queue[1:]
	w.check(on, &d.Response)
	w.hub.Consumed(w.now, on, d.Bytes)
	return true
}

// check looks at what a watch is told, at once.
func (w *world) check(on StreamID, resp *kv.WatchResponse) {
	if resp.ID == 0 {
		at, last := w.asked[on][0].at, w.asked[on][0].last
		w.asked[on] = w.asked[on][1:]
		if resp.Revision < at || len(resp.Events) > 0 {
			w.t.Fatalf("progress is %v, asked at %v", resp.Revision, at)
		}
		w.counts.progresses++
		for id, e := range w.watches {
			if id[0] == uint64(on) && id[1] <= uint64(last) && e.listening && e.from != 0 {
				w.complete(id, e, at)
			}
		}
		return
	}
	e := w.watches[[2]uint64{uint64(on), uint64(resp.ID)}]
	if !e.listening {
		return
	}
	for i := range resp.Events {
		event := &resp.Events[i]
		if event.KV.ModRevision <= e.upTo || event.KV.ModRevision > resp.Revision {
			w.t.Fatalf("an event of %v is told in (%v, %v]", event.KV.ModRevision, e.upTo,
				resp.Revision)
		}
		if (event.Prev != nil) != e.req.PrevKV {
			w.t.Fatalf("with the version before: %v, asked for: %v", event.Prev, e.req.PrevKV)
		}
	}
	e.upTo = resp.Revision
	e.events = append(e.events, resp.Events...)
	w.counts.events += len(resp.Events)
	w.complete([2]uint64{uint64(on), uint64(resp.ID)}, e, resp.Revision)
}

// complete makes sure that a watch was told everything up to a revision, in order.
func (w *world) complete(id [2]uint64, e *expected, upTo kv.Revision) {
	var want []kv.Event
	for i := range w.history {
		event := &w.history[i].Event
		rev := event.KV.ModRevision
		filtered := e.req.NoPut && !event.Deleted || e.req.NoDelete && event.Deleted
		if rev >= e.from && rev <= upTo && !filtered && e.req.Contains(event.KV.Key) {
			want = append(want, *event)
		}
	}
	got := e.events
	for len(got) > 0 && got[len(got)-1].KV.ModRevision > upTo {
		got = got[:len(got)-1]
	}
	same := slices.EqualFunc(got, want, func(a, b kv.Event) bool {
		return a.KV.ModRevision == b.KV.ModRevision && string(a.KV.Value) == string(b.KV.Value) &&
			string(a.KV.Key) == string(b.KV.Key) && a.Deleted == b.Deleted
	})
	if !same {
		w.t.Fatalf("watch %v of %v from %v was told %d events up to %v, there are %d\n%v\n%v",
			id, e.req.Range, e.from, len(got), upTo, len(want), got, want)
	}
}

func (w *world) step() {
	switch w.rng.IntN(12) {
	case 0:
		w.add()
	case 1:
		if w.rng.IntN(4) == 0 {
			w.remove()
		}
	case 2, 3:
		w.write()
	case 4:
		w.take(StreamID(1 + w.rng.IntN(3)))
	case 5:
		w.now += wire.Instant(time.Duration(w.rng.IntN(200)) * time.Millisecond)
		w.hub.Tick(w.now)
	case 6:
		if w.rng.IntN(4) == 0 {
			on := StreamID(1 + w.rng.IntN(3))
			w.asked[on] = append(w.asked[on], question{w.current, w.lastID})
			w.hub.Progress(w.now, on)
		}
	default:
		w.answer()
	}
	w.pass()
}

// finish lets everybody catch up, until all watches were told all.
func (w *world) finish() {
	w.calm = true
	for on := range StreamID(3) {
		w.asked[on+1] = append(w.asked[on+1], question{w.current, w.lastID})
		w.hub.Progress(w.now, on+1)
	}
	for range 20_000 {
		w.answer()
		for on := range StreamID(3) {
			w.take(on + 1)
		}
		w.now += wire.Instant(5 * time.Millisecond)
		w.hub.Tick(w.now)
		w.pass()
		if len(w.asked[1])+len(w.asked[2])+len(w.asked[3]) == 0 {
			return
		}
	}
	w.t.Fatalf("progress is not told: %v, %+v", w.asked, w.hub.Load())
}

// Whatever happens on the way, each watch is told each event of its range once,
// in order and whole, from where it began.
func TestRandomWorlds(t *testing.T) {
	told, progress := 0, 0
	worlds := uint64(100)
	if testing.Short() {
		worlds = 50
	}
	for seed := range worlds {
		w := newWorld(t, seed)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w.t = t
			for range 800 {
				w.step()
			}
			w.finish()
			for on := range StreamID(3) {
				w.hub.Close(w.now, on+1)
			}
			l, h := w.hub.Load(), w.hub
			if l.Streams+l.Watches+l.Slow+l.QueueBytes != 0 || len(h.places) > 0 ||
				len(h.groups.list)+len(h.groups.byShards)+len(h.chases.running) > 0 {
				t.Errorf("something is left: %+v", l)
			}
		})
		told, progress = told+w.counts.events, progress+w.counts.progresses
	}
	if told < 1000 || progress < 100 {
		t.Errorf("only %d events and %d answers for progress were told", told, progress)
	}
}
