package casualties

import (
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// mail is the network. It loses and delays nothing unless a scene says so.
type mail struct {
	letters []letter
	// sent counts the letters.
	sent int
	cut  map[link]bool
	// lose and keep, if set, tell of letters whether they get lost, and whether
	// they stay on their way for now.
	lose, keep func(*letter) bool
}

type link struct{ from, to kv.NodeID }

// letter is a message on its way.
type letter struct {
	link
	message wire.Message
}

// raft is the message of a shard's group in a letter, nil if there is none.
func (l *letter) raft(shard kv.ShardID) *wire.Raft {
	if r := l.message.Raft; r != nil && r.Shard == shard {
		return r
	}
	return nil
}

// send puts a message on its way, encoded as on a real network.
func (st *stage) send(from *host, to kv.NodeID, m wire.Message) {
	data := wire.AppendMessage(nil, &m)
	m, rest, err := wire.DecodeMessage(data)
	if err != nil || len(rest) > 0 {
		st.failf("a message of %v does not decode: %w", from.id, err)
	}
	st.letters, st.sent = append(st.letters, letter{link{from.id, to}, m}), st.sent+1
}

// deliver brings everything to where it goes that may arrive now. It reports whether
// that was anything.
func (st *stage) deliver() (busy bool) {
	letters := st.letters
	st.letters = nil
	for i := range letters {
		l := &letters[i]
		to := st.host(l.to)
		switch {
		case to.member == nil:
			st.refused(l)
		case st.cut[l.link] || st.lose != nil && st.lose(l):
		case to.paused || st.keep != nil && st.keep(l):
			st.letters = append(st.letters, *l)
		default:
			to.receive(l.from, l.message)
			busy = true
		}
	}
	return busy
}

// refused tells the sender of a request that nobody listens there. What a link that is cut
// loses, nobody hears of.
func (st *stage) refused(l *letter) {
	if from := st.host(l.from); l.message.Request != nil && from.worker != nil {
		from.worker.Unreachable(from.now(), l.to)
		from.hub.Unreachable(from.now(), l.to)
	}
}

// isolate cuts a node off from some others, or from all.
func (st *stage) isolate(h *host, from ...*host) {
	if len(from) == 0 {
		from = st.others(h)
	}
	for _, o := range from {
		st.cut[link{h.id, o.id}], st.cut[link{o.id, h.id}] = true, true
	}
}

// join ends all cuts, and all that happens to letters.
func (st *stage) join() {
	clear(st.cut)
	st.lose, st.keep = nil, nil
}
