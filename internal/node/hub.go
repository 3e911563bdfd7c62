package node

import (
	"sync"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/watch"
	"github.com/miruvor/miruvor/internal/wire"
)

// hub runs the node's end of all watches on one goroutine, as a thread does a
// worker. What it knows, package watch knows; here are only the queues.
type hub struct {
	node *Node
	// machine is the goroutine's alone.
	machine *watch.Hub
	running sync.WaitGroup

	mu     sync.Mutex
	ready  sync.Cond
	queue  []hubInput
	ticked bool
	ended  bool
	// streams are open; lastID names them.
	streams map[watch.StreamID]*watchStream
	lastID  watch.StreamID
}

// hubInput is one input, called on the hub's goroutine. Inputs are bounded by the
// requests under way, and by what receivers do and wait for.
type hubInput func(now wire.Instant, m *watch.Hub)

// startHub begins to serve watches. The threads run already.
func (n *Node) startHub() {
	h := &hub{
		node: n, streams: map[watch.StreamID]*watchStream{},
		machine: watch.New(watch.Config{
			Node: n.membership.self.ID, Map: n.shards, Limits: n.cfg.Limits,
			Bounds: n.cfg.lab.watches, Began: n.cfg.lab.clock(), Mutant: n.cfg.lab.mutant,
		}),
	}
	h.ready.L = &h.mu
	n.hub.Store(h)
	h.running.Go(h.run)
}

// endHub ends all streams.
func (n *Node) endHub() {
	h := n.hub.Load()
	if h == nil {
		return
	}
	h.mu.Lock()
	h.ended = true
	h.ready.Signal()
	streams := h.streams
	h.streams = nil
	h.mu.Unlock()
	h.running.Wait()
	for _, s := range streams {
		s.end()
	}
}

// run is the hub's life.
func (h *hub) run() {
	var inputs []hubInput
	for {
		var ok bool
		if inputs, ok = h.take(inputs); !ok {
			return
		}
		now := h.node.cfg.lab.clock()
		for _, in := range inputs {
			in(now, h.machine)
		}
		eff := h.machine.Pass(now)
		h.carryOut(eff)
		h.machine.Reuse(eff)
	}
}

// put adds an input; it reports false after the end.
func (h *hub) put(in hubInput) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return false
	}
	h.queue = append(h.queue, in)
	if len(h.queue) == 1 {
		h.ready.Signal()
	}
	return true
}

// take waits for inputs, and reuses the memory of the last ones.
func (h *hub) take(last []hubInput) ([]hubInput, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.queue) == 0 && !h.ended {
		h.ready.Wait()
	}
	clear(last)
	inputs := h.queue
	h.queue, h.ticked = last[:0], false
	return inputs, !h.ended
}

// tick tells that some time has passed, once.
func (h *hub) tick() {
	h.mu.Lock()
	ticked := h.ticked
	h.ticked = true
	h.mu.Unlock()
	if !ticked {
		h.put(func(now wire.Instant, m *watch.Hub) { m.Tick(now) })
	}
}

func (h *hub) receive(from kv.NodeID, resp *wire.Response) {
	h.put(func(now wire.Instant, m *watch.Hub) { m.Receive(now, from, resp) })
}

func (h *hub) lost(req *wire.Request) {
	h.put(func(now wire.Instant, m *watch.Hub) { m.Lost(now, req) })
}

func (h *hub) unreachable(node kv.NodeID) {
	h.put(func(now wire.Instant, m *watch.Hub) { m.Unreachable(now, node) })
}

// load asks the hub for its numbers. It reports false after the end.
func (h *hub) load() (watch.Load, bool) {
	answer := make(chan watch.Load, 1)
	if !h.put(func(_ wire.Instant, m *watch.Hub) { answer <- m.Load() }) {
		return watch.Load{}, false
	}
	select {
	case l := <-answer:
		return l, true
	case <-h.node.stopped:
		return watch.Load{}, false
	}
}

func (h *hub) carryOut(eff watch.Effects) {
	batches := map[kv.NodeID][]wire.Message{}
	for _, s := range eff.Sends {
		batches[s.To] = append(batches[s.To], wire.Message{Request: s.Request})
	}
	for to, batch := range batches {
		h.node.send(to, batch)
	}
	for _, b := range eff.Begun {
		if s := h.stream(b.Stream); s != nil {
			s.begun(b.ID, b.Err)
		}
	}
	for i := 0; i < len(eff.Deliveries); {
		id, first := eff.Deliveries[i].Stream, i
		for i < len(eff.Deliveries) && eff.Deliveries[i].Stream == id {
			i++
		}
		if s := h.stream(id); s != nil {
			s.deliver(eff.Deliveries[first:i])
		}
	}
}

func (h *hub) stream(id watch.StreamID) *watchStream {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.streams[id]
}
