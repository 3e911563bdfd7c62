package txn

import (
	"fmt"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/wire"
)

// The end of a lease looks at each of very many keys three times. That takes one
// lock and one read of each, and no comparing of each with each.
func TestPlanOfManyKeys(t *testing.T) {
	layout := placement.Layout{
		Shards: 2, Replicas: 1, Nodes: []kv.NodeID{1}, SplitAt: [][]byte{[]byte("k1")},
	}
	m, err := layout.Build()
	if err != nil {
		t.Fatal(err)
	}
	const keys = 50_000
	req := &kv.TxnRequest{}
	for i := range keys {
		key := fmt.Appendf(nil, "k%d", i)
		req.Success = append(req.Success, kv.Op{Txn: &kv.TxnRequest{
			Compares: []kv.Compare{
				{Key: key, Target: kv.CompareLease}, {Key: key, Target: kv.CompareMod},
			},
			Success: []kv.Op{{Delete: &kv.DeleteRequest{Range: kv.PointRange(key)}}},
		}})
	}
	try := New(wire.TxnID{}, req, &m, func(kv.ShardID) bool { return true })
	locks, reads := 0, 0
	for _, req := range try.Requests(0) {
		for _, l := range req.Prepare.Locks {
			if !l.Write {
				t.Fatalf("%v is not locked for writing", l.Range)
			}
		}
		locks += len(req.Prepare.Locks)
		reads += len(req.Prepare.Gather.Reads)
	}
	if locks != keys || reads != keys {
		t.Errorf("%d locks and %d reads of %d keys", locks, reads, keys)
	}
}

// A key is locked and read once, but again if its value is wanted besides.
func TestPlanOfOneKey(t *testing.T) {
	layout := placement.Layout{
		Shards: 2, Replicas: 1, Nodes: []kv.NodeID{1}, SplitAt: [][]byte{[]byte("m")},
	}
	m, err := layout.Build()
	if err != nil {
		t.Fatal(err)
	}
	a, z := kv.PointRange([]byte("a")), kv.PointRange([]byte("z"))
	keysOnly := kv.Op{Range: &kv.RangeRequest{Range: a, KeysOnly: true}}
	value := kv.Op{Range: &kv.RangeRequest{Range: a}}
	wide := kv.Op{Range: &kv.RangeRequest{Range: kv.Range{End: []byte("c")}}}
	put := kv.Op{Put: &kv.PutRequest{Key: []byte("a")}}
	other := kv.Op{Put: &kv.PutRequest{Key: []byte("z")}}
	for _, tt := range []struct {
		ops          []kv.Op
		reads, locks int
		writes       bool
	}{
		{[]kv.Op{keysOnly, keysOnly, other}, 1, 1, false},
		{[]kv.Op{keysOnly, value, keysOnly, other}, 2, 1, false},
		{[]kv.Op{value, keysOnly, value, other}, 1, 1, false},
		{[]kv.Op{value, put, other}, 1, 1, true},
		{[]kv.Op{wide, value, put, other}, 1, 2, true},
	} {
		try := New(wire.TxnID{}, &kv.TxnRequest{Success: tt.ops}, &m,
			func(kv.ShardID) bool { return true })
		for _, req := range try.Requests(0) {
			p := req.Prepare
			if p.Locks[0].Overlaps(z) {
				continue
			}
			last := p.Locks[len(p.Locks)-1]
			if len(p.Gather.Reads) != tt.reads || len(p.Locks) != tt.locks ||
				last.Write != tt.writes {
				t.Errorf("%+v: reads %v, locks %v", tt.ops, p.Gather.Reads, p.Locks)
			}
		}
	}
}
