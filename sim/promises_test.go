package sim

import (
	"strings"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
)

// saw is an operation that reads keys, "key=value" or "key" for one that is missing, and
// puts others, "key:=value". It begins and ends at places of the order.
func saw(begin, end int, what ...string) *Op {
	op := &Op{
		Span: Span{Begin: begin, End: end}, Txn: &kv.TxnRequest{},
		TxnResponse: &kv.TxnResponse{Succeeded: true},
	}
	for _, text := range what {
		if key, value, ok := strings.Cut(text, ":="); ok {
			op.Txn.Success = append(op.Txn.Success, put([]byte(key), "%s", value))
			put := kv.Result{Put: &kv.PutResponse{}}
			op.TxnResponse.Results = append(op.TxnResponse.Results, put)
			continue
		}
		key, value, live := strings.Cut(text, "=")
		resp := &kv.RangeResponse{}
		if live {
			resp.KVs = []kv.KeyValue{{Key: []byte(key), Value: []byte(value)}}
		}
		op.Txn.Success = append(op.Txn.Success, get([]byte(key)))
		op.TxnResponse.Results = append(op.TxnResponse.Results, kv.Result{Range: resp})
	}
	return op
}

func historyOf(ops ...*Op) *History {
	h := &History{Ops: ops}
	for i, op := range ops {
		op.ID = uint64(i + 1)
		h.order = max(h.order, op.Begin, op.End)
	}
	return h
}

// The lists l and m, as their operations saw them; elements are the numbers of operations.
func TestListsAreInOneOrder(t *testing.T) {
	tests := []struct {
		name string
		h    *History
		want string
	}{
		{
			"appends and reads in turn",
			historyOf(saw(1, 2, "l:=1,"), saw(3, 4, "l:=1,2,"), saw(5, 6, "l=1,2,", "m")), "",
		},
		{
			"reads beside an append",
			historyOf(saw(1, 6, "l:=1,"), saw(2, 3, "l"), saw(4, 5, "l=1,"), saw(7, 8, "l=1,")), "",
		},
		{
			"a lost append",
			historyOf(saw(1, 4, "l:=1,"), saw(2, 3, "l:=2,"), saw(5, 6, "l=2,")), "missing",
		},
		{
			"two orders",
			historyOf(saw(1, 2, "l:=1,"), saw(1, 2, "l:=1,2,"), saw(3, 4, "l=1,2,"),
				saw(3, 4, "l=2,")),
			"was seen as",
		},
		{
			"half of an append",
			historyOf(saw(1, 2, "l:=1,", "m:=1,"), saw(3, 4, "l=1,", "m")), "missing",
		},
		{
			"an append seen in part",
			historyOf(saw(1, 6, "l:=1,", "m:=1,"), saw(2, 3, "l=1,", "m"),
				saw(7, 8, "l=1,", "m=1,")),
			"circles",
		},
		{
			"two that did not see one another",
			historyOf(saw(1, 4, "l", "m:=1,"), saw(2, 3, "m", "l:=2,"), saw(5, 6, "l=2,", "m=1,")),
			"circles",
		},
		{
			"a read of the past",
			historyOf(saw(1, 2, "l:=1,"), saw(3, 4, "l"), saw(5, 6, "l=1,")), "circles",
		},
	}
	keys := [][]byte{[]byte("l"), []byte("m")}
	for _, tt := range tests {
		check(t, tt.name, tt.h.checkLists(keys), tt.want)
	}
}

func check(t *testing.T, name string, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v", name, err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("%s: got %v, want %q", name, err, want)
	}
}

// The accounts and the pair of counters, as snapshots show them.
func TestSnapshotsKeepTheirSums(t *testing.T) {
	keys := [][]byte{[]byte("x"), []byte("y")}
	bank := func(ops ...*Op) error { return checkBank(historyOf(ops...).snapshots(), keys) }
	counters := func(ops ...*Op) error {
		h := historyOf(ops...)
		return h.checkCounters(h.snapshots(), keys)
	}
	check(t, "no account yet", bank(saw(1, 2, "x", "y")), "")
	check(t, "the sum", bank(saw(1, 2, "x=80 7", "y=120 9")), "")
	check(t, "one account only", bank(saw(1, 2, "x=80 7")), "")
	check(t, "half of a transfer", bank(saw(1, 2, "x=80 7", "y=100 2")), "hold 180")
	check(t, "an account is gone", bank(saw(1, 2, "x=80 7", "y")), "1 of 2 accounts")
	check(t, "equal counters", counters(saw(1, 2, "x=3 1", "y=3 1")), "")
	check(t, "a counter ahead", counters(saw(1, 2, "x=4 2", "y=3 1")), "differ")
	check(t, "a number twice", counters(saw(1, 2, "x:=3 1", "y:=3 1"),
		saw(3, 4, "x:=3 2", "y:=3 2")), "drawn twice")
}

// What several shards hold of a revision has to be all of it.
func TestCommitsAreWhole(t *testing.T) {
	part := func(rev kv.Revision, shard kv.ShardID, subs ...uint32) Commit {
		c := Commit{Revision: rev, Shard: shard}
		for _, sub := range subs {
			c.Writes = append(c.Writes, Write{Sub: sub})
		}
		return c
	}
	list, err := join([]Commit{part(2, 1, 0, 2), part(2, 2, 1), part(3, 1, 0)})
	if err != nil || len(list) != 2 || len(list[0].Writes) != 3 {
		t.Errorf("got %v, %v", list, err)
	}
	for _, parts := range [][]Commit{
		{part(2, 1, 0, 2)}, {part(2, 1, 1)}, {part(2, 1, 0), part(2, 2, 0)},
	} {
		if _, err := join(parts); err == nil {
			t.Errorf("%v is taken for whole", parts)
		}
	}
}
