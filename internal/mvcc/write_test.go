package mvcc

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/engine/memory"
	"github.com/miruvor/miruvor/internal/kv"
)

var someWrites = []Write{
	{Key: []byte("a"), Value: []byte("1"), Create: 2, Version: 1},
	{Key: []byte("b\x00"), Value: []byte{}, Create: 300, Version: 1 << 40, Lease: -5},
	{Key: []byte("c"), Tombstone: true},
	{Key: []byte("d"), Value: []byte{}, Create: 2, Version: 2, Lease: 7, PrevLease: 300},
	{Key: []byte("e"), Tombstone: true, PrevLease: -1},
}

func TestWritesRoundTrip(t *testing.T) {
	data := append(AppendWrites([]byte("head"), someWrites), "tail"...)
	writes, rest, err := DecodeWrites(data[len("head"):])
	if err != nil || string(rest) != "tail" || !reflect.DeepEqual(writes, someWrites) {
		t.Fatalf("%+v, rest %q, %v", writes, rest, err)
	}
	writes, rest, err = DecodeWrites(AppendWrites(nil, nil))
	if err != nil || len(rest) != 0 || len(writes) != 0 {
		t.Fatalf("%+v, rest %q, %v", writes, rest, err)
	}
}

func TestDecodeWritesRefusesEveryTruncation(t *testing.T) {
	data := AppendWrites(nil, someWrites)
	for i := range data {
		if _, _, err := DecodeWrites(data[:i]); !errors.Is(err, kv.ErrCorrupt) {
			t.Errorf("cut at %d of %d: %v", i, len(data), err)
		}
	}
}

func FuzzDecodeWrites(f *testing.F) {
	f.Add(AppendWrites(nil, someWrites))
	f.Add(AppendWrites(nil, nil))
	f.Add([]byte{1, 0, 1, 1})
	f.Add([]byte{1, 0, 0, 1, 'a', 1, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		writes, rest, err := DecodeWrites(data)
		if err != nil {
			if !errors.Is(err, kv.ErrCorrupt) {
				t.Fatalf("an error that does not wrap ErrCorrupt: %v", err)
			}
			return
		}
		again, left, err := DecodeWrites(AppendWrites(nil, writes))
		if err != nil || len(left) != 0 || !reflect.DeepEqual(again, writes) {
			t.Fatalf("%+v came back as %+v, %v", writes, again, err)
		}
		if !bytes.HasSuffix(data, rest) {
			t.Fatal("the rest is not the end of the data")
		}
	})
}

func TestProvisional(t *testing.T) {
	for _, seq := range []uint64{1, 2, 1 << 40} {
		rev := Provisional(seq)
		if !IsProvisional(rev) || ProvisionalSeq(rev) != seq || rev <= kv.RevisionMax {
			t.Errorf("%d: %d, back %d", seq, int64(rev), ProvisionalSeq(rev))
		}
		if rev >= Provisional(seq+1) || rev >= newest {
			t.Errorf("%d is not ordered", seq)
		}
	}
	if IsProvisional(kv.RevisionMax) {
		t.Error("a real revision is taken for a provisional one")
	}
}

func TestNoProvisionalRevisionReachesTheLog(t *testing.T) {
	mustPanic(t, func() {
		AppendWrites(nil, []Write{{Key: []byte("a"), Create: Provisional(1), Version: 1}})
	})
}

func TestApplyRefusesImpossibleRevisions(t *testing.T) {
	b := memory.New().NewBatch()
	put := []Write{{Key: []byte("a"), Create: 5, Version: 1}}
	for _, rev := range []kv.Revision{0, -1, 4, kv.RevisionMax + 1, Provisional(1)} {
		if err := Apply(b, nil, testShard, rev, put); !errors.Is(err, kv.ErrCorrupt) {
			t.Errorf("applied at %d: %v", int64(rev), err)
		}
	}
	if err := Apply(b, nil, testShard, 5, put); err != nil {
		t.Error(err)
	}
}

func TestOverlayInsistsOnOrder(t *testing.T) {
	o := NewOverlay()
	o.Add(3, Provisional(3), []Write{{Key: []byte("a"), Create: Provisional(3), Version: 1}})
	o.Add(5, Provisional(5), []Write{{Key: []byte("a"), Create: Provisional(3), Version: 2}})
	mustPanic(t, func() { o.Add(5, Provisional(5), nil) })
	mustPanic(t, func() { o.Done(5) })
	// What is not in flight any more may still be numbered and applied.
	o.Done(2)
	o.Number(2, 9)
	if o.Len() != 2 {
		t.Fatalf("%d in flight, want 2", o.Len())
	}
}

func TestEvaluateAtARevisionDoesNotWrite(t *testing.T) {
	v := View{Reader: memory.New(), At: 1, Current: 1}
	_, err := Evaluate(v, putOf([]byte("a")), 0)
	if !errors.Is(err, kv.ErrInvalid) {
		t.Fatal(err)
	}
}

// TestResolve resolves an evaluation that no overlay knows of.
func TestResolve(t *testing.T) {
	v := View{Reader: memory.New(), Current: 1}
	eval, err := Evaluate(v, putOf([]byte("a")), Provisional(7))
	if err != nil {
		t.Fatal(err)
	}
	known := false
	number := func(seq uint64) (kv.Revision, bool) {
		if seq != 7 {
			t.Errorf("asked for the number of %d", seq)
		}
		return 9, known
	}
	eval.Resolve(number)
	if got := eval.Writes[0].Create; got != Provisional(7) {
		t.Errorf("created at %d, which nobody said", int64(got))
	}
	known = true
	eval.Resolve(number)
	if got := eval.Writes[0].Create; got != 9 {
		t.Errorf("created at %d, want 9", int64(got))
	}
	eval.Resolve(func(uint64) (kv.Revision, bool) {
		t.Error("asked again")
		return 0, false
	})
}

// steps counts how far its iterators go.
type steps struct {
	engine.Reader
	taken int
}

type countedIterator struct {
	engine.Iterator
	reader *steps
}

func (s *steps) NewIter(lower, upper []byte) (engine.Iterator, error) {
	it, err := s.Reader.NewIter(lower, upper)
	return countedIterator{it, s}, err
}

func (c countedIterator) Next() bool {
	c.reader.taken++
	return c.Iterator.Next()
}

func (c countedIterator) SeekGE(key []byte) bool {
	c.reader.taken++
	return c.Iterator.SeekGE(key)
}

// TestReadsGoNoFurtherThanTheyNeed: neither past a limit, nor through the
// versions of a key one by one.
func TestReadsGoNoFurtherThanTheyNeed(t *testing.T) {
	e := memory.New()
	b := e.NewBatch()
	for rev := kv.Revision(2); rev < 1000; rev++ {
		w := Write{Key: []byte{'a' + byte(rev%4)}, Create: 2, Version: 1}
		if err := Apply(b, nil, testShard, rev, []Write{w}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at    kv.Revision
		limit int
		max   int
	}{{1000, 1, 12}, {1000, 0, 30}, {500, 1, 20}, {500, 0, 50}} {
		r := &steps{Reader: e}
		v := View{Reader: r, At: c.at, Current: 1000}
		resp, err := v.Range(kv.RangeRequest{Limit: c.limit})
		if err != nil || len(resp.KVs) != 4 && c.limit == 0 {
			t.Fatal(resp, err)
		}
		if r.taken > c.max {
			t.Errorf("at %v with limit %d: %d steps, at most %d are needed",
				c.at, c.limit, r.taken, c.max)
		}
	}
}

// TestAnswersShareNothing: who gets an answer may change it.
func TestAnswersShareNothing(t *testing.T) {
	o := NewOverlay()
	o.Add(1, 2, []Write{{Key: []byte("a"), Value: []byte("1"), Create: 2, Version: 1}})
	v := View{Reader: memory.New(), Overlay: o, Current: 2}
	req := &kv.TxnRequest{Success: []kv.Op{
		{Range: &kv.RangeRequest{Range: kv.PrefixRange([]byte("a"))}},
		{Put: &kv.PutRequest{Key: []byte("a"), IgnoreValue: true, PrevKV: true}},
		{Range: &kv.RangeRequest{Range: kv.PointRange([]byte("a"))}},
	}}
	eval, err := Evaluate(v, req, Provisional(2))
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []*kv.KeyValue{
		&eval.Response.Results[0].Range.KVs[0],
		eval.Response.Results[1].Put.Prev,
		&eval.Response.Results[2].Range.KVs[0],
	} {
		got.Key[0], got.Value[0] = 'x', 'x'
	}
	again, err := v.Range(kv.RangeRequest{Range: kv.PointRange([]byte("a"))})
	if err != nil || len(again.KVs) != 1 || string(again.KVs[0].Value) != "1" {
		t.Fatal(again, err)
	}
	if w := eval.Writes[0]; string(w.Key) != "a" || string(w.Value) != "1" {
		t.Fatalf("%+v", w)
	}
}

func mustPanic(t *testing.T, do func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	do()
}
