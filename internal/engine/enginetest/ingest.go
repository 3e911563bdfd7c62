package enginetest

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/kv"
)

// span builds a Span of two strings.
func span(start, end string) engine.Span {
	return engine.Span{Start: []byte(start), End: []byte(end)}
}

// newIngest begins an ingest of pairs, given as key, value, key, value.
func newIngest(t *testing.T, e engine.Engine, spans []engine.Span, pairs ...string) engine.Ingest {
	t.Helper()
	in, err := e.NewIngest(spans)
	noError(t, err)
	for i := 0; i < len(pairs); i += 2 {
		noError(t, in.Add([]byte(pairs[i]), []byte(pairs[i+1])))
	}
	return in
}

func testIngestReplaces(t *testing.T, s Subject) {
	e := s.open(t)
	set(t, e, "a", "1", "b", "1", "b5", "1", "c", "1", "f", "1", "g", "1", "m", "1", "z", "1")
	noError(t, e.Flush())
	set(t, e, "b6", "2", "c", "2", "f", "2", "n", "2")
	spans := []engine.Span{span("b", "c"), span("c1", "c2"), span("f", "g"), span("m", "o")}
	in := newIngest(t, e, spans, "b", "3", "b7", "3", "n", "3", "n5", "3")
	before := []string{
		"a=1", "b=1", "b5=1", "b6=2", "c=2", "f=2", "g=1", "m=1", "n=2", "z=1",
	}
	wantAll(t, e, before...)
	noError(t, in.Commit())
	after := []string{"a=1", "b=3", "b7=3", "c=2", "g=1", "n=3", "n5=3", "z=1"}
	wantAll(t, e, after...)
	noError(t, in.Abort())
	wantAll(t, e, after...)
	if in.Commit() == nil {
		t.Fatal("an ingest was committed twice")
	}

	set(t, e, "b", "4", "f1", "4")
	noError(t, newIngest(t, e, spans).Commit())
	wantAll(t, e, "a=1", "c=2", "g=1", "z=1")
	noError(t, e.Check())
}

func testIngestRefuses(t *testing.T, s Subject) {
	e := s.open(t)
	for _, spans := range [][]engine.Span{
		nil,
		{span("b", "b")},
		{span("c", "b")},
		{span("c", "d"), span("a", "b")},
		{span("a", "c"), span("b", "d")},
		{{Start: []byte("a")}},
	} {
		_, err := e.NewIngest(spans)
		wantError(t, err, kv.ErrInvalid)
	}
	in := newIngest(t, e, []engine.Span{span("b", "d"), span("d", "e"), span("g", "h")})
	for _, c := range []struct {
		key string
		ok  bool
	}{
		{"a", false},
		{"b", true},
		{"b", false},
		{"c", true},
		{"bz", false},
		{"d", true},
		{"e", false},
		{"f", false},
		{"g", true},
		{"h", false},
		{"d5", false},
	} {
		err := in.Add([]byte(c.key), nil)
		if c.ok {
			noError(t, err)
		} else {
			wantError(t, err, kv.ErrInvalid)
		}
	}
	noError(t, in.Commit())
	wantAll(t, e, "b=", "c=", "d=", "g=")
}

func testIngestAbort(t *testing.T, s Subject) {
	e := s.open(t)
	set(t, e, "b", "1")
	large := bytes.Repeat([]byte("x"), 64<<10)
	for _, pairs := range []int{1, 50} {
		in := newIngest(t, e, []engine.Span{span("b", "c")})
		for i := range pairs {
			noError(t, in.Add(fmt.Appendf(nil, "b%02d", i), large))
		}
		noError(t, in.Abort())
		noError(t, in.Abort())
		if in.Commit() == nil {
			t.Fatal("an aborted ingest was committed")
		}
		wantAll(t, e, "b=1")
	}
}

func testIngestIterators(t *testing.T, s Subject) {
	for _, size := range []int{1, 512 << 10} {
		e := s.open(t)
		set(t, e, "a", "va", "b", "vb", "c", "vc", "d", "vd")
		noError(t, e.Flush())
		snap := e.NewSnapshot()
		early, err := e.NewIter(nil, nil)
		noError(t, err)
		early.First()
		frozen, err := snap.NewIter([]byte("b"), nil)
		noError(t, err)
		in := newIngest(t, e, []engine.Span{span("b", "d"), span("d", "dd")})
		noError(t, in.Add([]byte("b2"), bytes.Repeat([]byte("x"), size)))
		noError(t, in.Commit())
		set(t, e, "b3", "vb3")
		runMoves(t, early, []move{
			{"next", "", "b"},
			{"next", "", "c"},
			{"next", "", "d"},
			{"next", "", ""},
			{"seekge", "b1", "c"},
		})
		runMoves(t, frozen, []move{
			{"first", "", "b"}, {"last", "", "d"}, {"prev", "", "c"}, {"prev", "", "b"},
		})
		wantAll(t, snap, "a=va", "b=vb", "c=vc", "d=vd")
		noError(t, snap.Close())
		wantGet(t, e, "b3", "vb3")
		wantGet(t, e, "c", "")
	}
}

// testIngestLarge replaces spans that are large on disk and in memory with
// others that are.
func testIngestLarge(t *testing.T, s Subject) {
	e := s.open(t)
	value := bytes.Repeat([]byte("x"), 4<<10)
	fill := func(b engine.Batch, space byte, from, to int) {
		for i := from; i < to; i++ {
			noError(t, b.Set(fmt.Appendf(nil, "%c%05d", space, i), value))
		}
	}
	commit(t, e, func(b engine.Batch) {
		for _, space := range []byte("mps") {
			fill(b, space, 0, 100)
		}
	})
	noError(t, e.Flush())
	commit(t, e, func(b engine.Batch) { fill(b, 'p', 100, 200) })

	in := newIngest(t, e, []engine.Span{span("m00010", "m00020"), span("p00010", "p00190")})
	want := 90 + 20 + 100
	for i := 12; i < 15; i++ {
		noError(t, in.Add(fmt.Appendf(nil, "m%05d", i), value))
		want++
	}
	for i := 1000; i < 3000; i++ {
		noError(t, in.Add(fmt.Appendf(nil, "p0001%06d", i), value))
		want++
	}
	noError(t, in.Commit())
	if got := len(dump(t, e, nil, nil)); got != want {
		t.Fatalf("%d keys after the ingest, want %d", got, want)
	}
	wantGet(t, e, "p00011", "")
	wantGet(t, e, "p0001001234", string(value))
	noError(t, e.Check())
}
