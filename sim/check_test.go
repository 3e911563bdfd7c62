package sim

import (
	"strings"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
)

// story builds histories by hand: operations on one key, in the order given.
type story struct{ history History }

// op adds an operation that begins and ends at places of the order.
func (s *story) op(begin, end int, op *Op) *story {
	op.ID, op.Begin, op.End = uint64(len(s.history.Ops)+1), begin, end
	s.history.Ops = append(s.history.Ops, op)
	return s
}

// put is an answered put of k.
func (s *story) put(begin, end int, value string, rev kv.Revision, version int64) *story {
	op := putOp(value)
	op.TxnResponse = &kv.TxnResponse{
		Revision: rev, Succeeded: true,
		Results: []kv.Result{{Put: &kv.PutResponse{Version: version}}},
	}
	return s.op(begin, end, op)
}

// lost is a put whose answer never came, or said err.
func (s *story) lost(begin, end int, value string, err error) *story {
	op := putOp(value)
	op.Err = err
	return s.op(begin, end, op)
}

// get is an answered read of k at a revision.
func (s *story) get(begin, end int, rev kv.Revision, pairs ...kv.KeyValue) *story {
	return s.op(begin, end, &Op{
		Range:         &kv.RangeRequest{Range: kv.PointRange([]byte("k"))},
		RangeResponse: &kv.RangeResponse{Revision: rev, KVs: pairs},
	})
}

// commit is what the replicas hold.
func (s *story) commit(rev kv.Revision, value string, create kv.Revision, version int64) *story {
	s.history.Commits = append(s.history.Commits, Commit{Revision: rev, Shard: 1, Writes: []Write{
		{Key: "k", Value: value, Create: create, Version: version},
	}})
	return s
}

func putOp(value string) *Op {
	return single(kv.Op{Put: &kv.PutRequest{Key: []byte("k"), Value: []byte(value)}})
}

func pairAt(value string, create, mod kv.Revision, version int64) kv.KeyValue {
	return kv.KeyValue{
		Key: []byte("k"), Value: []byte(value),
		CreateRevision: create, ModRevision: mod, Version: version,
	}
}

func new2() *story { return new(story).put(1, 2, "a", 2, 1).commit(2, "a", 2, 1) }

// The checker takes what is right and objects to what is not.
func TestCheckerObjects(t *testing.T) {
	tests := []struct {
		name string
		s    *story
		want string
	}{
		{"a write and a read", new2().get(3, 4, 2, pairAt("a", 2, 2, 1)), ""},
		{"a read beside a write", new2().get(1, 3, 1), ""},
		{"an uncertain write that happened", new2().lost(3, 0, "b", nil).commit(3, "b", 2, 2), ""},
		{"an uncertain write that did not", new2().lost(3, 4, "b", kv.ErrUncertain), ""},
		{"a refused write", new2().lost(3, 4, "b", kv.ErrTimeout), ""},

		{"a lost write", new(story).put(1, 2, "a", 2, 1), "lost write"},
		{"a lost overwrite", new2().put(3, 4, "b", 3, 2), "lost write"},
		{
			"a refused write that happened",
			new2().lost(3, 4, "b", kv.ErrTimeout).commit(3, "b", 2, 2), "of no operation",
		},
		{
			"an uncertain write that happened twice",
			new2().lost(3, 4, "b", kv.ErrUncertain).commit(3, "b", 2, 2).commit(4, "b", 2, 3),
			"of no operation",
		},
		{"nobody's write", new2().commit(3, "x", 2, 2), "of no operation"},
		{
			"an uncertain write in the past",
			new2().put(3, 4, "b", 4, 3).commit(3, "c", 2, 2).commit(4, "b", 2, 3).
				lost(5, 0, "c", nil),
			"of no operation",
		},
		{"a stale read", new2().get(3, 4, 1), "stale read"},
		{"a wrong read", new2().get(3, 4, 2), "wrong read"},
		{"a read of the future", new2().get(1, 3, 1, pairAt("a", 2, 2, 1)), "wrong read"},
		{
			"a revision used twice",
			new2().put(3, 4, "b", 2, 2).commit(2, "b", 2, 2), "used twice",
		},
		{
			"writes out of order",
			new(story).put(1, 2, "a", 3, 2).put(3, 4, "b", 2, 1).
				commit(2, "b", 2, 1).commit(3, "a", 2, 2),
			"out of order",
		},
		{"a wrong version", new(story).put(1, 2, "a", 2, 2).commit(2, "a", 2, 1), "wrong put"},
		{"a gap", new(story).put(1, 2, "a", 3, 1).commit(3, "a", 3, 1), "is skipped"},
	}
	for _, tt := range tests {
		err := tt.s.history.Check(true)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

// A compare-and-set that was decided wrong.
func TestCheckerDecidesCompares(t *testing.T) {
	cas := func(succeeded bool) *Op {
		return &Op{
			Txn: &kv.TxnRequest{
				Compares: []kv.Compare{{Key: []byte("k"), Target: kv.CompareMod, Number: 1}},
				Success:  []kv.Op{{Put: &kv.PutRequest{Key: []byte("k"), Value: []byte("b")}}},
			},
			TxnResponse: &kv.TxnResponse{Revision: 3, Succeeded: succeeded},
		}
	}
	failed := cas(false)
	failed.TxnResponse.Revision = 2
	if err := new2().op(3, 4, failed).history.Check(true); err != nil {
		t.Errorf("a compare that fails: %v", err)
	}
	won := cas(true)
	won.TxnResponse.Results = []kv.Result{{Put: &kv.PutResponse{Version: 2}}}
	if err := new2().op(3, 4, won).commit(3, "b", 2, 2).history.Check(true); err == nil {
		t.Error("a compare that fails was taken as one that holds")
	}
}
