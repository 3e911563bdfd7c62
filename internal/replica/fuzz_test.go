package replica

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/wire"
	"go.etcd.io/raft/v3/raftpb"
)

// seedEntries are what a log may hold, in an order that makes sense. A token of 0
// stands for any.
func seedEntries() [][]byte {
	write := mvcc.Write{Key: []byte("c"), Value: []byte("v"), Create: 400, Version: 1, Lease: 7}
	part := mvcc.AppendPart(nil, &mvcc.Part{Writes: []mvcc.Write{write}, Subs: []uint32{1}})
	txn := wire.TxnID{Node: 3, Seq: 9}
	prepare := *somePrepare
	prepare.txn = txn
	return [][]byte{
		appendMarks(nil, []mark{{7, markActive, 1}, {8, markActive, 2}}),
		appendEffect([]byte{kindEffects}, effect{seq: 1, rev: 300, writes: []mvcc.Write{
			{Key: []byte("a"), Value: []byte("v"), Create: 300, Version: 1, Lease: 7},
			{Key: []byte("b"), Tombstone: true, PrevLease: 7},
		}}),
		appendPrepare([]byte{kindPrepare}, &prepare),
		appendDecide([]byte{kindDecide}, &decideRecord{
			txn: txn, commit: true, revision: 400, effect: part,
			others: []wire.Part{{Shard: 4, Token: 17, Effect: part}},
		}),
		appendMarks(nil, []mark{{8, markClosing, 2}, {7, markForgotten, 1}}),
		appendPrepare([]byte{kindPrepare}, somePrepare),
		appendResolve([]byte{kindResolve}, &resolveRecord{
			txn: somePrepare.txn, commit: true, revision: 401, effect: part,
		}),
		appendForget([]byte{kindForget}, []wire.TxnID{txn}),
		appendFloor(nil, 300), appendMark(nil, 1000), appendAlarmChange(nil, someChange),
	}
}

// FuzzEntries applies any entries to a replica, each with a byte of its size before it.
// They are refused, or what the replica knows then is what it would find if it started.
func FuzzEntries(f *testing.F) {
	var all []byte
	for _, data := range seedEntries() {
		framed := append([]byte{byte(len(data))}, data...)
		f.Add(framed)
		all = append(all, framed...)
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, data []byte) {
		c := newCluster(t, 1, DefaultBounds(), ReadLease)
		defer c.close()
		n := c.nodes[0]
		n.input(func(r *Replica, _ *Output) { r.Campaign() })
		c.settle()
		r, b := n.replica, n.engine.NewBatch()
		for len(data) > 0 {
			size := min(int(data[0]), len(data)-1)
			entry := data[1 : 1+size]
			data = data[1+size:]
			if size > 0 && entry[0] == kindLeases {
				continue // the system shard's
			}
			e := &raftpb.Entry{
				Index: new(r.state.applied.Index + 1), Term: new(r.role.term), Data: entry,
			}
			if r.applyEntry(b, e) != nil {
				return // which stops the replica, and the batch is never committed
			}
			r.state.applied.Index, r.state.applied.Term = e.GetIndex(), e.GetTerm()
		}
		c.must(putApplied(b, r.cfg.Shard, keyspace.KindApplied, r.state.applied))
		c.must(b.Commit())
		known := knowledge(r)
		state, err := loadState(n.engine, r.cfg.Shard)
		c.must(err)
		if !reflect.DeepEqual(state, r.state) {
			t.Fatalf("%+v is known, %+v is found", r.state, state)
		}
		c.must(r.loadLocks())
		c.must(r.loadMarks())
		if found := knowledge(r); !slices.Equal(known, found) {
			t.Fatalf("%q is known, %q is found", known, found)
		}
	})
}

// knowledge is what a replica knows of transactions and leases.
func knowledge(r *Replica) (list []string) {
	for _, h := range r.locks.order {
		list = append(list, fmt.Sprintf("%d %x", h.token, appendPrepare(nil, &h.prepareRecord)))
	}
	for id, o := range r.locks.outcomes {
		list = append(list, fmt.Sprint(id, o.state, o.revision, o.untold))
	}
	for _, id := range slices.Sorted(maps.Keys(r.leases.marks)) {
		list = append(list, fmt.Sprint(id, r.leases.marks[id]))
	}
	slices.Sort(list)
	return list
}

// FuzzSmallRecords: what is taken for a floor, a mark or an effect is what would be
// written, but for numbers that are written longer than they have to be.
func FuzzSmallRecords(f *testing.F) {
	f.Add(appendFloor(nil, 300)[1:])
	f.Add(appendMark(nil, kv.RevisionMax)[1:])
	for _, data := range seedEntries()[:2] {
		f.Add(data[1:])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		check := func(what string, err error, again []byte) {
			if err == nil && len(again) > len(body) {
				t.Fatalf("%s: %x is written as %x", what, body, again)
			}
		}
		floor, err := decodeFloor(body)
		check("floor", err, appendFloor(nil, floor)[1:])
		revision, err := decodeMark(body)
		check("mark", err, appendMark(nil, revision)[1:])
		e, rest, err := decodeEffect(body)
		if err != nil {
			return
		}
		again := appendEffect(nil, e)
		check("effect", nil, append(again, rest...))
		twice, left, err := decodeEffect(again)
		if err != nil || len(left) > 0 || !bytes.Equal(appendEffect(nil, twice), again) {
			t.Fatalf("%x is read again as %+v, %v", again, twice, err)
		}
	})
}
