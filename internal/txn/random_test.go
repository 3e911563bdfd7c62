package txn

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/engine/memory"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/wire"
)

// TestSplitsChangeNothing evaluates random transactions over what random shards
// tell, and over the whole store at once: answers, errors and writes are the
// same.
func TestSplitsChangeNothing(t *testing.T) {
	seeds := uint64(3000)
	if testing.Short() {
		seeds = 300
	}
	crossed, wrote, failed := 0, 0, 0
	for seed := range seeds {
		w := newWorld(seed)
		req := w.txn(2)
		if err := kv.DefaultLimits.CheckTxn(req); err != nil {
			continue
		}
		want, wantErr := mvcc.Evaluate(w.view(), req, mvcc.Provisional(1000))
		try, err := w.try(t, req)
		if len(try.parts) > 1 {
			crossed++
		}
		if wantErr != nil || err != nil {
			failed++
			if !sameError(err, wantErr) {
				t.Fatalf("seed %d: %v, in one store %v", seed, err, wantErr)
			}
			continue
		}
		rev := w.last + 1
		finish(&want, rev)
		if try.Writes() {
			wrote++
			checkCommit(t, seed, w, try, &want, rev)
		}
		if got := try.Response(rev); !reflect.DeepEqual(*got, want.Response) {
			t.Fatalf("seed %d: split at %q\n%+v\nthe answer is\n%s\nin one store\n%s", seed,
				w.splits, req, show(got), show(&want.Response))
		}
	}
	if crossed < int(seeds/3) || wrote < int(seeds/5) || failed == 0 {
		t.Errorf("of %d, only %d crossed shards, %d wrote, %d failed", seeds, crossed, wrote,
			failed)
	}
}

func sameError(a, b error) bool {
	for _, sentinel := range []error{
		kv.ErrKeyNotFound, kv.ErrCompacted, kv.ErrFutureRevision, kv.ErrDuplicateKey,
	} {
		if errors.Is(a, sentinel) != errors.Is(b, sentinel) {
			return false
		}
	}
	return (a == nil) == (b == nil)
}

func finish(e *mvcc.Evaluation, rev kv.Revision) {
	e.Resolve(func(uint64) (kv.Revision, bool) { return rev, true })
	e.SetRevision(rev)
}

// checkCommit holds the effects for all shards against the writes of one store.
func checkCommit(
	t *testing.T, seed uint64, w *world, try *Try, want *mvcc.Evaluation, rev kv.Revision,
) {
	t.Helper()
	d := try.Commit(rev)
	parts := append([]wire.Part{{Shard: try.Primary(), Effect: d.Effect}}, d.Others...)
	got := make([]*mvcc.Write, len(want.Writes))
	for _, p := range parts {
		if len(p.Effect) == 0 {
			continue
		}
		part, err := mvcc.DecodePart(p.Effect)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for i := range part.Writes {
			key := part.Writes[i].Key
			if at := w.shards.Locate(key).ID; at != p.Shard {
				t.Fatalf("seed %d: %q lies in %v, but is written in %v", seed, key, at, p.Shard)
			}
			got[part.Subs[i]] = &part.Writes[i]
		}
	}
	for i := range want.Writes {
		if got[i] == nil || printed(got[i]) != printed(&want.Writes[i]) {
			t.Fatalf("seed %d: write %d is %+v, in one store %+v", seed, i, got[i],
				want.Writes[i])
		}
	}
}

func printed(w *mvcc.Write) string {
	return fmt.Sprintf("%q=%q %v %d %d %v", w.Key, w.Value, w.Create, w.Version, w.Lease,
		w.Tombstone)
}

func show(r *kv.TxnResponse) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%v %v:", r.Revision, r.Succeeded)
	for _, res := range r.Results {
		switch {
		case res.Range != nil:
			fmt.Fprintf(&out, " range %+v", *res.Range)
		case res.Put != nil:
			fmt.Fprintf(&out, " put %+v", *res.Put)
		case res.Delete != nil:
			fmt.Fprintf(&out, " delete %+v", *res.Delete)
		case res.Txn != nil:
			fmt.Fprintf(&out, " (%s)", show(res.Txn))
		}
	}
	return out.String()
}

// world is a store with some history, and a way to split it.
type world struct {
	rng    *rand.Rand
	engine engine.Engine
	last   kv.Revision
	floor  kv.Revision
	splits []string
	shards placement.Map
}

func newWorld(seed uint64) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 7)), engine: memory.New(), last: 1}
	for range 5 + w.rng.IntN(30) {
		w.write()
	}
	if w.rng.IntN(2) == 0 {
		w.floor = 1 + kv.Revision(w.rng.Int64N(int64(w.last)))
	}
	w.split()
	return w
}

// write applies a random transaction of puts and deletes.
func (w *world) write() {
	req := &kv.TxnRequest{}
	for range 1 + w.rng.IntN(3) {
		op := kv.Op{Put: &kv.PutRequest{Key: w.key(), Value: w.value()}}
		if w.rng.IntN(4) == 0 {
			op = kv.Op{Delete: &kv.DeleteRequest{Range: kv.PointRange(w.key())}}
		}
		whole := &kv.TxnRequest{Success: append(slices.Clone(req.Success), op)}
		if kv.DefaultLimits.CheckTxn(whole) == nil {
			req = whole
		}
	}
	eval, err := mvcc.Evaluate(w.view(), req, mvcc.Provisional(1))
	if err != nil {
		panic(err)
	}
	if len(eval.Writes) == 0 {
		return
	}
	w.last++
	finish(&eval, w.last)
	batch := w.engine.NewBatch()
	if err := mvcc.Apply(batch, nil, 1, w.last, eval.Writes); err != nil {
		panic(err)
	}
	if err := batch.Commit(); err != nil {
		panic(err)
	}
}

// split cuts the keys at some points.
func (w *world) split() {
	for range 1 + w.rng.IntN(4) {
		if at := string(w.key()); !slices.Contains(w.splits, at) {
			w.splits = append(w.splits, at)
		}
	}
	slices.Sort(w.splits)
	var start []byte
	for i := range len(w.splits) + 1 {
		s := placement.Shard{
			ID: kv.ShardID(i + 1), Range: kv.Range{Start: start}, Nodes: []kv.NodeID{1},
		}
		if i < len(w.splits) {
			s.Range.End = []byte(w.splits[i])
			start = s.Range.End
		}
		w.shards.Shards = append(w.shards.Shards, s)
	}
}

func (w *world) view() mvcc.View {
	return mvcc.View{Reader: w.engine, Current: w.last, Compacted: w.floor}
}

// try has the shards of a transaction told, and evaluates it.
func (w *world) try(t *testing.T, req *kv.TxnRequest) (*Try, error) {
	t.Helper()
	try := New(wire.TxnID{Node: 1, Seq: 1}, req, &w.shards,
		func(kv.ShardID) bool { return w.rng.IntN(2) == 0 })
	if len(try.parts) == 0 {
		try.parts = []*part{{shard: w.shards.Shards[0]}}
		try.primary = try.parts[0]
	}
	requests := try.Requests(w.last)
	for _, s := range try.Shards() {
		ask := requests[s.ID]
		gather := ask.Gather
		if ask.Prepare != nil {
			gather = &ask.Prepare.Gather
		}
		told := w.gather(t, s, gather)
		if _, err := try.Take(s.ID, &wire.Response{Gathered: told}); err != nil {
			t.Fatal(err)
		}
	}
	return try, try.Evaluate(8 << 20)
}

func (w *world) gather(t *testing.T, s placement.Shard, g *wire.Gather) *wire.Gathered {
	t.Helper()
	told := &wire.Gathered{}
	for _, read := range g.Reads {
		if !read.Empty() && !s.Range.ContainsRange(read.Range) {
			t.Fatalf("shard %v of %v is asked for %v", s.ID, s.Range, read.Range)
		}
		var part wire.GatheredPart
		resp, err := w.view().Range(read)
		if err != nil {
			part.Code, part.Text = wire.CodeOf(err), err.Error()
		}
		part.Range = resp
		told.Parts = append(told.Parts, part)
	}
	return told
}

func (w *world) key() []byte {
	return []byte{"abcdefgh"[w.rng.IntN(8)], "12"[w.rng.IntN(2)]}[:1+w.rng.IntN(2)]
}

func (w *world) value() []byte { return []byte{"vwxyz"[w.rng.IntN(5)]} }

func (w *world) keys() kv.Range {
	switch w.rng.IntN(6) {
	case 0:
		return kv.PointRange(w.key())
	case 1:
		return kv.PrefixRange(w.key())
	case 2:
		return kv.Range{Start: w.key()}
	case 3:
		return kv.Range{}
	}
	return kv.Range{Start: w.key(), End: w.key()}
}

func (w *world) txn(depth int) *kv.TxnRequest {
	req := &kv.TxnRequest{}
	for range w.rng.IntN(3) {
		req.Compares = append(req.Compares, w.compare())
	}
	req.Success, req.Failure = w.branch(depth), w.branch(depth)
	return req
}

func (w *world) compare() kv.Compare {
	c := kv.Compare{
		Key: w.key(), Target: kv.Target(w.rng.IntN(5)), Relation: kv.Relation(w.rng.IntN(4)),
		Number: w.rng.Int64N(4),
	}
	if r := w.keys(); w.rng.IntN(3) == 0 && r.End != nil && len(r.Start) > 0 {
		c.Key, c.RangeEnd = r.Start, r.End
	}
	switch c.Target {
	case kv.CompareValue:
		c.Value = w.value()
	case kv.CompareCreate, kv.CompareMod:
		c.Number = w.rng.Int64N(int64(w.last) + 2)
	}
	return c
}

// branch draws operations that may stand together.
func (w *world) branch(depth int) []kv.Op {
	var ops []kv.Op
	for range w.rng.IntN(4) {
		op := w.op(depth)
		whole := &kv.TxnRequest{Success: append(slices.Clone(ops), op)}
		if kv.DefaultLimits.CheckTxn(whole) == nil {
			ops = append(ops, op)
		}
	}
	return ops
}

func (w *world) op(depth int) kv.Op {
	chance := func(n int) bool { return w.rng.IntN(n) == 0 }
	switch w.rng.IntN(8) {
	case 0, 1, 2:
		put := &kv.PutRequest{Key: w.key(), Value: w.value(), PrevKV: chance(2)}
		if chance(6) {
			put.Value, put.IgnoreValue = nil, true
		}
		return kv.Op{Put: put}
	case 3:
		return kv.Op{Delete: &kv.DeleteRequest{Range: w.keys(), PrevKV: chance(2)}}
	case 4, 5, 6:
		read := &kv.RangeRequest{
			Range: w.keys(), Reverse: chance(3), KeysOnly: chance(5), CountOnly: chance(6),
			WantCount: chance(4),
		}
		if chance(2) {
			read.Limit = 1 + w.rng.IntN(4)
		}
		if chance(3) {
			read.BytesMax = 1 + w.rng.IntN(16)
		}
		if chance(4) {
			read.Revision = 1 + kv.Revision(w.rng.Int64N(int64(w.last)+1))
		}
		return kv.Op{Range: read}
	}
	if depth == 0 {
		return kv.Op{Range: &kv.RangeRequest{Range: w.keys()}}
	}
	return kv.Op{Txn: w.txn(depth - 1)}
}
