package sim

import (
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/watch"
	"github.com/miruvor/miruvor/internal/wire"
)

// hub runs a node's end of all watches, as thread runs a worker: inputs queue
// up, then it takes all of them, reads the clock, and makes a pass.
type hub struct {
	node      *node
	machine   *watch.Hub
	inbox     []func(now wire.Instant)
	scheduled bool
	ticking   bool
	// held are the effects of a pass after which the process was stopped.
	held *watch.Effects
	// audiences are the receivers of open streams; lastID names streams.
	audiences map[watch.StreamID]*audience
	lastID    watch.StreamID
}

func newHub(n *node) *hub {
	return &hub{
		node: n, audiences: map[watch.StreamID]*audience{},
		machine: watch.New(watch.Config{
			Node: n.id, Map: n.c.shards, Limits: kv.DefaultLimits, Bounds: watchBounds(),
			Mutant: n.c.cfg.Mutant, Began: n.now(),
		}),
	}
}

// watchBounds are small, so that little load reaches them.
func watchBounds() watch.Bounds {
	return watch.Bounds{
		WatchesMax: 100, StreamWatchesMax: 20, StreamsMax: 20,
		QueueBytesMax: 2 << 10, AllBytesMax: 6 << 10,
		FeedBytesMax: 600, PendingBytesMax: 1 << 10, RecentBytesMax: 1 << 10,
		ChasesMax: 2,
	}
}

// post adds an input.
func (h *hub) post(in func(now wire.Instant)) {
	h.inbox = append(h.inbox, in)
	h.wake(h.node.c.between(0, 20*time.Microsecond))
}

func (h *hub) wake(d time.Duration) {
	if !h.scheduled {
		h.scheduled = true
		h.node.whenRunning(d, h.run)
	}
}

func (h *hub) run() {
	h.scheduled = false
	if held := h.held; held != nil {
		h.held = nil
		h.carryOut(held)
		h.wake(0)
		return
	}
	inputs := h.inbox
	h.inbox = nil
	now := h.node.now()
	for _, in := range inputs {
		in(now)
	}
	eff := h.machine.Pass(now)
	if h.node.c.hiccup(h.node) {
		h.held = &eff
		h.wake(0)
		return
	}
	h.carryOut(&eff)
}

// carryOut sees to the effects of a pass.
func (h *hub) carryOut(eff *watch.Effects) {
	for _, s := range eff.Sends {
		h.node.c.network.send(h.node, h, s.To, wire.Message{Request: s.Request})
	}
	for _, b := range eff.Begun {
		if a := h.audiences[b.Stream]; a != nil {
			a.begun(b.ID, b.Err)
		}
	}
	for _, d := range eff.Deliveries {
		if a := h.audiences[d.Stream]; a != nil {
			a.deliver(d)
		}
	}
}

// lost implements sender.
func (h *hub) lost(m *wire.Message) {
	h.post(func(now wire.Instant) { h.machine.Lost(now, m.Request) })
}

func (h *hub) unreachable(peer kv.NodeID) {
	h.post(func(now wire.Instant) { h.machine.Unreachable(now, peer) })
}

func (h *hub) receive(from kv.NodeID, resp *wire.Response) {
	h.post(func(now wire.Instant) { h.machine.Receive(now, from, resp) })
}

// open begins a stream, and with the first of them the hub's ticks.
func (h *hub) open(w *watcher) *audience {
	h.lastID++
	a := &audience{watcher: w, hub: h, id: h.lastID, watches: map[kv.WatchID]*Watching{}}
	h.audiences[a.id] = a
	if h.lastID == 1 {
		h.tick()
	}
	h.post(func(wire.Instant) {
		if !h.machine.Open(a.id) {
			h.node.c.failf("%v refuses a stream of watches", h.node.id)
		}
	})
	return a
}

func (h *hub) tick() {
	if !h.ticking {
		h.ticking = true
		h.post(func(now wire.Instant) {
			h.ticking = false
			h.machine.Tick(now)
		})
	}
	h.node.after(h.node.local(tickEvery), h.tick)
}
