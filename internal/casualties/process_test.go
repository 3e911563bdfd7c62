package casualties

import (
	"errors"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/member"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/raftlog"
	"github.com/miruvor/miruvor/internal/watch"
	"github.com/miruvor/miruvor/internal/wire"
	"github.com/miruvor/miruvor/internal/worker"
)

// tick is one of the process.
func (h *host) tick() {
	if !h.runs() {
		return
	}
	if h.now()-h.greeted >= wire.Instant(time.Second) {
		h.greet()
	}
	if h.worker == nil {
		return
	}
	h.worker.Tick(h.now())
	h.hub.Tick(h.now())
}

func (h *host) greet() {
	h.greeted = h.now()
	for _, g := range h.member.Greetings() {
		h.st.send(h, g.To, g.Message)
	}
}

// receive takes a message that arrived.
func (h *host) receive(from kv.NodeID, m wire.Message) {
	switch {
	case m.Greeting != nil:
		h.receiveGreeting(from, m.Greeting)
	case h.worker == nil:
	case m.Response != nil && watch.Owns(m.Response.ID):
		h.hub.Receive(h.now(), from, m.Response)
	default:
		h.worker.Receive(h.now(), from, m)
	}
}

func (h *host) receiveGreeting(from kv.NodeID, g *wire.Greeting) {
	answers, err := h.member.Receive(from, g)
	if errors.Is(err, member.ErrReplaced) {
		h.stop()
		return
	}
	h.st.must(err)
	for _, a := range answers {
		h.st.send(h, a.To, a.Message)
	}
	h.work(false)
	h.tellPeers()
}

// passesMax bounds the passes of one moment.
const passesMax = 5000

// pass settles what the inputs since the last one have caused.
func (h *host) pass() {
	passes := 0
	for more := true; more && h.runs() && h.worker != nil; {
		if passes++; passes > passesMax {
			h.st.failf("the worker of %v does not come to rest", h.id)
		}
		var eff *worker.Effects
		eff, more = h.worker.Pass(h.now())
		h.st.observe(h)
		if h.stops && !idle(eff) {
			h.stops, h.paused = false, true
			h.held = append(h.held, eff)
			return
		}
		h.carryOut(eff)
	}
	if h.runs() && h.hub != nil {
		h.passHub()
	}
}

func idle(eff *worker.Effects) bool {
	return len(eff.Sends)+len(eff.Saves)+len(eff.Streams)+len(eff.Replies) == 0
}

// carryOut sees to the effects of a pass. The process may die before each.
func (h *host) carryOut(eff *worker.Effects) {
	for i := range eff.Sends {
		if !h.burn() {
			return
		}
		h.st.send(h, eff.Sends[i].To, eff.Sends[i].Message)
	}
	for i := range eff.Saves {
		h.saves = append(h.saves, save{Save: eff.Saves[i]})
	}
	for i := range eff.Streams {
		h.st.flights = append(h.st.flights, &flight{
			from: h, boot: h.boot, to: h.st.host(eff.Streams[i].To), Stream: eff.Streams[i],
		})
	}
	for i := range eff.Replies {
		if !h.burn() {
			return
		}
		h.st.replied(h, &eff.Replies[i])
	}
}

func (h *host) passHub() {
	eff := h.hub.Pass(h.now())
	for _, s := range eff.Sends {
		h.st.send(h, s.To, wire.Message{Request: s.Request})
	}
	for _, b := range eff.Begun {
		if e := h.ears[b.Stream]; e != nil {
			e.begun(b)
		}
	}
	for i := range eff.Deliveries {
		if e := h.ears[eff.Deliveries[i].Stream]; e != nil {
			e.deliver(&eff.Deliveries[i])
		}
	}
}

// disk does a step of the oldest save: install its snapshot, append its record, or
// sync. It reports whether it did one.
func (h *host) disk() bool {
	if !h.runs() || h.slow || len(h.saves) == 0 || !h.burn() {
		return false
	}
	s := &h.saves[0]
	switch {
	case s.Install != nil:
		h.st.must(s.Install.Commit())
		s.Install = nil
	case !s.appended:
		h.st.must(h.log.Append([]raftlog.Record{s.Record}))
		s.appended = true
		h.saved(s, mutant.AckBeforeSync)
	default:
		h.st.must(h.log.Sync())
		h.saves = h.saves[1:]
		h.saved(s, mutant.None)
	}
	return true
}

// saved tells the worker of a save. The stage is the writer of the log, and so has one
// half of the bug of acknowledging before the sync; the other is in package replica.
func (h *host) saved(s *save, bug mutant.Mutant) {
	if !s.told && (bug == mutant.None || bug == h.st.set.bug) {
		s.told = true
		h.worker.Saved(h.now(), s.Replica)
	}
}
