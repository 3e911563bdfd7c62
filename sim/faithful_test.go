package sim

import (
	"testing"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

func TestFaithful(t *testing.T) {
	message := func() wire.Message {
		return wire.Message{Request: &wire.Request{ID: 7, Prepare: &wire.Prepare{
			Locks:  []wire.Lock{{Range: kv.PointRange([]byte("a")), Write: true}},
			Leases: []kv.LeaseID{3},
		}}}
	}
	for name, lose := range map[string]func(p *wire.Prepare){
		"a flag":     func(p *wire.Prepare) { p.Locks[0].Write = false },
		"bytes":      func(p *wire.Prepare) { p.Locks[0].End = nil },
		"an element": func(p *wire.Prepare) { p.Leases = nil },
		"a number":   func(p *wire.Prepare) { p.Txn.Seq = 1 },
	} {
		other := message()
		lose(other.Request.Prepare)
		if faithful(message(), other) {
			t.Errorf("%s: not missed", name)
		}
	}
	if other := message(); !faithful(message(), other) {
		t.Error("equal messages differ")
	}
	zero := uint64(0)
	if !faithful(raftpb.Entry{}, raftpb.Entry{Term: &zero}) {
		t.Error("a number that is not there differs from 0")
	}
	if faithful(message(), wire.Message{Greeting: &wire.Greeting{}}) {
		t.Error("another kind of message is the same")
	}
}
