package enginetest

import (
	"fmt"
	"testing"

	"github.com/miruvor/miruvor/internal/engine"
)

func testPoint(t *testing.T, s Subject) {
	e := s.open(t)
	wantGet(t, e, "a", "")
	set(t, e, "a", "1", "b", "2")
	wantGet(t, e, "a", "1")
	wantGet(t, e, "b", "2")
	wantGet(t, e, "ab", "")
	set(t, e, "a", "3")
	wantGet(t, e, "a", "3")
	commit(t, e, func(b engine.Batch) {
		noError(t, b.Delete([]byte("a")))
		noError(t, b.Delete([]byte("never there")))
	})
	wantGet(t, e, "a", "")
	wantAll(t, e, "b=2")

	set(t, e, "empty", "")
	got, err := e.Get([]byte("empty"))
	noError(t, err)
	if len(got) != 0 {
		t.Fatalf("an empty value came back as %q", got)
	}
}

// testPointOwnership changes every slice that it may change, which must not
// reach the engine.
func testPointOwnership(t *testing.T, s Subject) {
	e := s.open(t)
	key, value := []byte("key"), []byte("value")
	start, end := []byte("a"), []byte("b")
	set(t, e, "a1", "gone")
	b := e.NewBatch()
	noError(t, b.DeleteRange(start, end))
	noError(t, b.Set(key, value))
	key[0], value[0], start[0], end[0] = 'X', 'X', 'X', 'X'
	noError(t, b.Commit())
	wantAll(t, e, "key=value")

	got, err := e.Get([]byte("key"))
	noError(t, err)
	got[0] = 'X'
	k, v, err := e.SeekPrefix([]byte("k"), []byte("k"))
	noError(t, err)
	k[0], v[0] = 'X', 'X'
	got, err = e.DurableGet([]byte("key"))
	if err == nil {
		got[0] = 'X'
	}
	wantAll(t, e, "key=value")
}

func testDeleteRange(t *testing.T, s Subject) {
	e := s.open(t)
	set(t, e, "a", "1", "b", "2", "bb", "3", "c", "4", "d", "5")
	for _, c := range []struct {
		start, end string
		want       []string
	}{
		{"x", "z", []string{"a=1", "b=2", "bb=3", "c=4", "d=5"}},
		{"b", "b", []string{"a=1", "b=2", "bb=3", "c=4", "d=5"}},
		{"c", "b", []string{"a=1", "b=2", "bb=3", "c=4", "d=5"}},
		{"b", "c", []string{"a=1", "c=4", "d=5"}},
		{"aa", "d", []string{"a=1", "d=5"}},
		{"a", "e", nil},
	} {
		commit(t, e, func(b engine.Batch) {
			noError(t, b.DeleteRange([]byte(c.start), []byte(c.end)))
		})
		wantAll(t, e, c.want...)
	}
	set(t, e, "b", "6")
	wantAll(t, e, "b=6")
}

func testBatchIsAtomic(t *testing.T, s Subject) {
	e := s.open(t)
	set(t, e, "a", "1")
	b := e.NewBatch()
	if !b.Empty() {
		t.Fatal("a new batch is not empty")
	}
	noError(t, b.Set([]byte("b"), make([]byte, 1000)))
	noError(t, b.Delete([]byte("a")))
	if b.Empty() || b.Size() < 1000 || b.Size() > 2000 {
		t.Fatalf("Empty is %v and Size %d after about 1000 bytes", b.Empty(), b.Size())
	}
	wantAll(t, e, "a=1")
	noError(t, b.Close())
	wantAll(t, e, "a=1")

	b = e.NewBatch()
	noError(t, b.Set([]byte("b"), []byte("2")))
	noError(t, b.Delete([]byte("a")))
	wantAll(t, e, "a=1")
	noError(t, b.Commit())
	wantAll(t, e, "b=2")
	noError(t, b.Close())
	wantAll(t, e, "b=2")
}

// testBatchKeepsOrder overwrites and deletes within one batch: the later
// operation wins.
func testBatchKeepsOrder(t *testing.T, s Subject) {
	e := s.open(t)
	set(t, e, "a", "0", "b", "0", "c", "0")
	commit(t, e, func(b engine.Batch) {
		noError(t, b.Set([]byte("a"), []byte("1")))
		noError(t, b.Delete([]byte("a")))
		noError(t, b.Set([]byte("a"), []byte("2")))
		noError(t, b.Set([]byte("b1"), []byte("1")))
		noError(t, b.DeleteRange([]byte("b"), []byte("c")))
		noError(t, b.Set([]byte("b2"), []byte("2")))
		noError(t, b.Set([]byte("c"), []byte("1")))
		noError(t, b.Delete([]byte("c")))
	})
	wantAll(t, e, "a=2", "b2=2")
}

func testBatchIsUsedOnce(t *testing.T, s Subject) {
	e := s.open(t)
	commit(t, e, func(engine.Batch) {})
	wantAll(t, e)

	b := e.NewBatch()
	noError(t, b.Set([]byte("a"), []byte("1")))
	noError(t, b.Commit())
	if b.Commit() == nil {
		t.Fatal("a batch was committed twice")
	}
	noError(t, b.Close())
	noError(t, b.Close())

	b = e.NewBatch()
	noError(t, b.Set([]byte("b"), []byte("1")))
	noError(t, b.Close())
	if b.Set([]byte("b"), []byte("2")) == nil || b.Commit() == nil {
		t.Fatal("a closed batch was used")
	}
	wantAll(t, e, "a=1")
}

func testLargeBatch(t *testing.T, s Subject) {
	e := s.open(t)
	value := make([]byte, 64<<10)
	commit(t, e, func(b engine.Batch) {
		for i := range 100 {
			value[0] = byte(i)
			noError(t, b.Set(fmt.Appendf(nil, "k%03d", i), value))
		}
	})
	for i := range 100 {
		got, err := e.Get(fmt.Appendf(nil, "k%03d", i))
		noError(t, err)
		if len(got) != len(value) || got[0] != byte(i) {
			t.Fatalf("k%03d: %d bytes that begin with %d", i, len(got), got[0])
		}
	}
}

func testMetricsAndCheck(t *testing.T, s Subject) {
	e := s.open(t)
	set(t, e, "a", "1")
	noError(t, e.Flush())
	noError(t, e.Check())
	if len(e.Metrics()) == 0 {
		t.Fatal("no metrics")
	}
	for name := range e.Metrics() {
		for _, c := range name {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
				t.Fatalf("metric %q is not lower case with underscores", name)
			}
		}
	}
}

// testReclaim checks that giving space back changes nothing that is read.
func testReclaim(t *testing.T, s Subject) {
	e := s.open(t)
	set(t, e, "a", "1", "b", "2", "c", "3")
	commit(t, e, func(b engine.Batch) { noError(t, b.Delete([]byte("b"))) })
	e.Reclaim(engine.Span{Start: []byte("a"), End: []byte("c")}, 1<<40)
	e.Reclaim(engine.Span{Start: []byte("a"), End: []byte("c")}, 0)
	wantAll(t, e, "a=1", "c=3")
}

// testDiskUsage: what is in use is a part of what is taken.
func testDiskUsage(t *testing.T, s Subject) {
	e := s.open(t)
	for i := range 100 {
		b := e.NewBatch()
		noError(t, b.Set([]byte{1, byte(i)}, make([]byte, 1000)))
		noError(t, b.Commit())
		if i%10 == 0 {
			noError(t, e.Flush())
		}
		if bytes, inUse := e.DiskUsage(); inUse < 0 || bytes < inUse {
			t.Fatalf("%d of %d bytes are in use", inUse, bytes)
		}
	}
}
