package worker

import (
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/wire"
)

// trio is three workers with a network that loses nothing.
type trio []*scene

func newTrio(t *testing.T) trio { return newTrioOf(t, 1, nil) }

// newTrioOf makes three workers with some shards, which part at keys.
func newTrioOf(t *testing.T, shards int, splitAt [][]byte) trio {
	cryptotest.SetGlobalRandom(t, 1) // raft's election jitter
	layout := placement.Layout{
		Nodes: []kv.NodeID{1, 2, 3}, Shards: shards, SplitAt: splitAt, Replicas: 3,
	}
	var all trio
	for _, id := range layout.Nodes {
		s := newScene(t, id, layout)
		s.network = func(snd *replica.Send) {
			to, lost := all[snd.To-1], s.mute != nil && s.mute(&snd.Message)
			if !to.down && !to.cut && !s.cut && !lost {
				to.inbox = append(to.inbox, letter{s.node, snd.Message})
			}
		}
		all = append(all, s)
	}
	return all
}

func (all trio) close() {
	for _, s := range all {
		s.close()
	}
}

// wait lets time pass on all that are up.
func (all trio) wait(d time.Duration) {
	const tick = 50 * time.Millisecond
	for ; d > 0; d -= tick {
		for _, s := range all {
			s.now += wire.Instant(tick)
			if !s.down {
				s.worker.Tick(s.now)
				s.pass()
			}
		}
		all.settle()
	}
}

func (all trio) settle() {
	for all.exchange() {
		continue
	}
}

// exchange delivers what is on the network now. It reports whether that was
// anything.
func (all trio) exchange() (busy bool) {
	for _, s := range all {
		letters := s.inbox
		s.inbox = nil
		for _, l := range letters {
			s.worker.Receive(s.now, l.from, l.message)
			busy = true
		}
		if !s.down {
			s.pass()
		}
	}
	return busy
}

func (all trio) leader() kv.NodeID {
	for _, s := range all {
		if sys := s.worker.system(); !s.down && sys.Leading() {
			return s.node
		}
	}
	return 0
}

// The oracle goes where it belongs without a gap: nothing has failed.
func TestTheOracleMovesWithoutAGap(t *testing.T) {
	all := newTrioOf(t, 2, [][]byte{[]byte("m")})
	defer all.close()
	all[0].down = true // the preferred node comes late
	all.wait(2 * time.Second)
	if at := all.leader(); at != 2 && at != 3 {
		t.Fatalf("led by %v", at)
	}
	all[1].submit(put("a"))
	all.settle()
	all[0].down = false
	all.wait(10 * time.Second)
	if at := all.leader(); at != 1 {
		t.Fatalf("led by %v", at)
	}
	all[1].submit(put("b"))
	all.wait(time.Second)
	if got := all[1].events; len(got) != 2 || got[0] != "reply 1: r2" || got[1] != "reply 2: r3" {
		t.Errorf("%q", got)
	}
}

// If nobody takes the leadership that the oracle was stopped for, it goes on,
// and leaves no gap either.
func TestTheOracleResumes(t *testing.T) {
	all := newTrioOf(t, 2, [][]byte{[]byte("m")})
	defer all.close()
	all.wait(10 * time.Second)
	if at := all.leader(); at != 1 {
		t.Fatalf("led by %v", at)
	}
	all[1].submit(put("a"))
	all.settle()
	w := all[0].worker
	for !w.releaseOracle(all[0].now) {
		all[0].pass()
		all.settle()
	}
	all.wait(4 * time.Second)
	all[1].submit(put("b"))
	all.wait(time.Second)
	if got := all[1].events; len(got) != 2 || got[1] != "reply 2: r3" {
		t.Errorf("%q", got)
	}
}
