package mvcc

import (
	"fmt"
	"testing"

	"github.com/miruvor/miruvor/internal/engine/memory"
	"github.com/miruvor/miruvor/internal/kv"
)

// roomy bounds hold all that a test writes.
var roomy = RecentBounds{BytesMax: 1 << 20, ValueBytesMax: 64 << 10}

// TestRecentLearnsNothingUnsettled reads between an Apply and its commit: what
// the engine says then is about to be wrong.
func TestRecentLearnsNothingUnsettled(t *testing.T) {
	e, recent := memory.New(), NewRecent(roomy, kv.FirstRevision)
	get := func(at kv.Revision) string {
		t.Helper()
		v := View{Reader: e, Recent: recent, At: at, Current: at}
		resp, err := v.Range(kv.RangeRequest{Range: kv.PointRange([]byte("a"))})
		if err != nil {
			t.Fatal(err)
		}
		if len(resp.KVs) == 0 {
			return "nothing"
		}
		return string(resp.KVs[0].Value)
	}
	for rev := kv.Revision(2); rev < 6; rev++ {
		b := e.NewBatch()
		write := Write{Key: []byte("a"), Value: []byte(rev.String()), Create: 2, Version: 1}
		if err := Apply(b, recent, testShard, rev, []Write{write}); err != nil {
			t.Fatal(err)
		}
		before := "nothing"
		if rev > 2 {
			before = (rev - 1).String()
		}
		recent.Clear(rev - 1) // so that it would have to learn
		recent.applied(rev, nil)
		if got := get(rev - 1); got != before {
			t.Errorf("before the commit of %v: %s", rev, got)
		}
		if err := b.Commit(); err != nil {
			t.Fatal(err)
		}
		recent.Settle(rev)
		for range 2 { // from the engine, then from memory
			if got, want := get(rev), rev.String(); got != want {
				t.Errorf("after the commit of %v: %s", rev, got)
			}
		}
	}
}

// TestRecentIsBounded fills it with more than it may remember.
func TestRecentIsBounded(t *testing.T) {
	const bytesMax = 100 * (recentOverhead + 8)
	r := NewRecent(RecentBounds{BytesMax: bytesMax}, kv.FirstRevision)
	for i := range 1000 {
		r.keep(version{key: fmt.Appendf(nil, "%08d", i)}, false)
		if n := len(r.young) + len(r.old); n > 101 {
			t.Fatalf("%d keys are remembered, 100 fit", n)
		}
		if _, _, known := r.lookup([]byte("00000000"), newest); !known {
			t.Fatalf("key 0, used all the time, is forgotten after %d", i)
		}
	}
	if _, _, known := r.lookup([]byte("00000001"), newest); known {
		t.Error("key 1, never used again, is remembered")
	}
	r.keep(version{key: []byte("00000000")}, true)
	r.keep(version{key: []byte("00000000")}, true)
	if n := len(r.young) + len(r.old); n > 101 {
		t.Errorf("%d keys after keeping one again", n)
	}
}

// TestRecentForgetsWhatGrows overwrites a value by one that is too long to remember, and
// that by a short one.
func TestRecentForgetsWhatGrows(t *testing.T) {
	e := memory.New()
	r := NewRecent(RecentBounds{BytesMax: 1 << 20, ValueBytesMax: 4}, kv.FirstRevision)
	rev := kv.FirstRevision
	for _, value := range []string{"1", "1234", "12345", "5", "123456", "1234567", ""} {
		rev++
		b := e.NewBatch()
		write := Write{Key: []byte("a"), Value: []byte(value), Create: 2, Version: 1}
		if err := Apply(b, r, testShard, rev, []Write{write}); err != nil {
			t.Fatal(err)
		}
		if err := b.Commit(); err != nil {
			t.Fatal(err)
		}
		r.Settle(rev)
		v := View{Reader: e, Recent: r, At: rev, Current: rev}
		for range 2 { // the first time, it may be learned
			resp, err := v.Range(kv.RangeRequest{Range: kv.PointRange([]byte("a"))})
			if err != nil {
				t.Fatal(err)
			}
			if len(resp.KVs) != 1 || string(resp.KVs[0].Value) != value {
				t.Errorf("at %v: %+v, put was %q", rev, resp.KVs, value)
			}
		}
		if _, _, known := r.lookup([]byte("a"), newest); known != (len(value) <= 4) {
			t.Errorf("a value of %d bytes is remembered: %v", len(value), known)
		}
	}
}

// TestRecentClearForgetsAll fills both generations, and replaces the state below.
func TestRecentClearForgetsAll(t *testing.T) {
	r := NewRecent(RecentBounds{BytesMax: 4 * (recentOverhead + 1)}, kv.FirstRevision)
	keys := []string{"a", "b", "c", "d"}
	for _, key := range keys {
		r.keep(version{key: []byte(key)}, true)
	}
	if len(r.young) == 0 || len(r.old) == 0 {
		t.Fatalf("%d keys are young and %d old", len(r.young), len(r.old))
	}
	r.Clear(9)
	for _, key := range keys {
		if _, _, known := r.lookup([]byte(key), newest); known {
			t.Errorf("%s is remembered from before", key)
		}
	}
	if r.bytes != 0 || r.wants(8) || !r.wants(9) {
		t.Errorf("after Clear: %d bytes, through %v", r.bytes, r.through)
	}
}

func BenchmarkRecent(b *testing.B) {
	r := NewRecent(roomy, kv.FirstRevision)
	key := []byte("a key of some length")
	r.keep(version{key: key}, true)
	b.ReportAllocs()
	for b.Loop() {
		r.lookup(key, newest)
	}
}
