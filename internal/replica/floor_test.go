package replica

import (
	"errors"
	"fmt"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/wire"
	"go.etcd.io/raft/v3/raftpb"
)

// TestLongReadsAndFloors raises the floor above reads that are under way. One that
// named its revision is refused; one that did not goes on, and the sweep waits.
func TestLongReadsAndFloors(t *testing.T) {
	bounds := DefaultBounds()
	bounds.PartKeysMax = 1_000
	c := newCluster(t, 1, bounds, ReadLease)
	defer c.close()
	n := c.node(1)
	n.input(func(r *Replica, _ *Output) { r.Campaign() })
	c.settle()
	const keys = 2*1_000 + 1
	write := func(at kv.Revision) {
		b := n.engine.NewBatch()
		for i := range kv.Revision(keys) {
			c.must(mvcc.Apply(b, nil, 1, at+i, []mvcc.Write{{
				Key: fmt.Appendf(nil, "%d", i), Value: fmt.Append(nil, at),
				Create: at + i, Version: 1,
			}}))
		}
		c.must(b.Commit())
	}
	write(10)
	const written = 10 + keys

	var out Output
	read := func(id uint64, at, named kv.Revision) {
		n.replica.Submit(c.now, Origin{Node: 9, ID: id}, &wire.Request{Range: &wire.RangeAt{
			RangeRequest: kv.RangeRequest{Revision: named}, At: at,
		}}, &out)
	}
	read(1, written, 0)
	read(2, written, written)
	write(written + 10) // above what they read
	const floor = 2*keys + 20
	n.replica.state.compacted = floor
	n.replica.closed.upTo = floor

	if n.replica.Sweep(); n.replica.floors.sweep.floor != written {
		t.Errorf("the sweep goes up to %v, %v is being read", n.replica.floors.sweep.floor,
			kv.Revision(written))
	}
	if l := n.replica.Load(); l.Swept != 0 || !l.Sweeping {
		t.Errorf("after the first part of a sweep: %+v", l)
	}
	for n.replica.Work(c.now, &out) || n.replica.Sweep() {
		continue
	}
	if len(out.Answers) != 2 {
		t.Fatalf("%d answers", len(out.Answers))
	}
	for _, a := range out.Answers {
		resp := &a.Response
		switch resp.ID {
		case 1:
			if resp.Range == nil || len(resp.Range.KVs) != keys ||
				string(resp.Range.KVs[keys-1].Value) != "r10" {
				t.Errorf("the read that began before: %v, %v", resp.Range, resp.Err())
			}
		case 2:
			if !errors.Is(resp.Err(), kv.ErrCompacted) {
				t.Errorf("the read below the floor is answered with %v", resp.Err())
			}
		}
	}
	if got := n.replica.floors.sweep; got.floor != floor || got.versions != keys {
		t.Errorf("swept %d versions up to %v, want %d up to %v", got.versions, got.floor, keys,
			kv.Revision(floor))
	}
}

// A floor never falls, whatever comes through the log.
func TestAFloorNeverFalls(t *testing.T) {
	c := newCluster(t, 1, DefaultBounds(), ReadLease)
	defer c.close()
	n := c.node(1)
	for _, floor := range []kv.Revision{20, 5} {
		b := n.engine.NewBatch()
		e := &raftpb.Entry{Index: new(uint64(floor)), Term: new(uint64(1))}
		c.must(n.replica.applyFloor(b, e, appendFloor(nil, floor)[1:]))
		c.must(b.Commit())
	}
	stored, err := loadState(n.engine, 1)
	c.must(err)
	if got := n.replica.Compacted(); got != 20 || stored.compacted != 20 {
		t.Errorf("the floor is %v, %v is stored", got, stored.compacted)
	}
}
