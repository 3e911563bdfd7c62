package enginetest

import (
	"slices"
	"testing"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/kv"
)

func testIterBounds(t *testing.T, s Subject) {
	e := s.open(t)
	wantAll(t, e)
	set(t, e, "a", "1", "b", "2", "c", "3", "d", "4")
	for _, c := range []struct {
		lower, upper []byte
		want         []string
	}{
		{nil, nil, []string{"a=1", "b=2", "c=3", "d=4"}},
		{[]byte("b"), nil, []string{"b=2", "c=3", "d=4"}},
		{nil, []byte("c"), []string{"a=1", "b=2"}},
		{[]byte("b"), []byte("d"), []string{"b=2", "c=3"}},
		{[]byte("aa"), []byte("cc"), []string{"b=2", "c=3"}},
		{[]byte("bb"), []byte("bc"), nil},
		{[]byte("e"), nil, nil},
	} {
		if got := dump(t, e, c.lower, c.upper); !slices.Equal(got, c.want) {
			t.Errorf("[%q, %q): %q, want %q", c.lower, c.upper, got, c.want)
		}
		if got := dumpBackwards(t, e, c.lower, c.upper); !slices.Equal(got, c.want) {
			t.Errorf("[%q, %q) backwards: %q, want %q", c.lower, c.upper, got, c.want)
		}
	}
}

// testIterLeave leaves keys with few and with many versions, some of them deleted.
func testIterLeave(t *testing.T, s Subject) {
	e := s.open(t)
	names := []string{"a", "ab", "b", "c", "d"}
	commit(t, e, func(b engine.Batch) {
		for i, name := range names {
			for rev := range uint64(1 + 7*i) {
				noError(t, b.Set(versionKey(name, 1+rev), []byte(name)))
			}
		}
		noError(t, b.Set([]byte{5}, []byte("beyond")))
	})
	for _, flushed := range []bool{false, true} {
		if flushed {
			noError(t, e.Flush())
		}
		commit(t, e, func(b engine.Batch) {
			for rev := range uint64(20) { // of all versions of c but the newest
				noError(t, b.Delete(versionKey("c", 1+rev)))
			}
		})
		it, err := e.NewIter(nil, nil)
		noError(t, err)
		var left []string
		for ok := it.First(); ok && it.Key()[0] != 5; {
			name := string(it.Value())
			left = append(left, name)
			past := versionPrefix(name)
			past[len(past)-1]++
			ok = it.Leave(past)
		}
		noError(t, it.Error())
		noError(t, it.Close())
		if !slices.Equal(left, names) {
			t.Errorf("left %q, want %q", left, names)
		}
	}
}

// dumpBackwards is dump by Last and Prev.
func dumpBackwards(t *testing.T, r engine.Reader, lower, upper []byte) []string {
	t.Helper()
	it, err := r.NewIter(lower, upper)
	noError(t, err)
	var out []string
	for ok := it.Last(); ok; ok = it.Prev() {
		out = append(out, string(it.Key())+"="+string(it.Value()))
	}
	noError(t, it.Error())
	noError(t, it.Close())
	slices.Reverse(out)
	return out
}

// move is one step of an iterator and the key on which it should land; ""
// means that it should land on none.
type move struct {
	name string
	key  string
	want string
}

func (m move) do(it engine.Iterator) bool {
	switch m.name {
	case "first":
		return it.First()
	case "last":
		return it.Last()
	case "seekge":
		return it.SeekGE([]byte(m.key))
	case "seeklt":
		return it.SeekLT([]byte(m.key))
	case "next":
		return it.Next()
	default:
		return it.Prev()
	}
}

func runMoves(t *testing.T, it engine.Iterator, moves []move) {
	t.Helper()
	for i, m := range moves {
		ok := m.do(it)
		noError(t, it.Error())
		switch {
		case ok != (m.want != ""):
			t.Fatalf("move %d, %s %q: found is %v, want key %q", i, m.name, m.key, ok, m.want)
		case ok && string(it.Key()) != m.want:
			t.Fatalf("move %d, %s %q: at %q, want %q", i, m.name, m.key, it.Key(), m.want)
		case ok && string(it.Value()) != "v"+m.want:
			t.Fatalf("move %d: value %q at %q", i, it.Value(), m.want)
		}
	}
	noError(t, it.Close())
}

func testIterMoves(t *testing.T, s Subject) {
	e := s.open(t)
	set(t, e, "a", "va", "b", "vb", "d", "vd", "e", "ve", "f", "vf")
	it, err := e.NewIter([]byte("b"), []byte("f"))
	noError(t, err)
	runMoves(t, it, []move{
		{"seekge", "c", "d"},
		{"prev", "", "b"},
		{"next", "", "d"},
		{"next", "", "e"},
		{"prev", "", "d"},
		{"seekge", "d", "d"},
		{"seeklt", "d", "b"},
		{"next", "", "d"},
		{"seeklt", "dd", "d"},
		{"seekge", "a", "b"},
		{"seekge", "", "b"},
		{"seekge", "f", ""},
		{"seeklt", "z", "e"},
		{"seeklt", "b", ""},
		{"seeklt", "a", ""},
		{"first", "", "b"},
		{"last", "", "e"},
	})
}

// testIterEnds runs past both ends and back.
func testIterEnds(t *testing.T, s Subject) {
	e := s.open(t)
	set(t, e, "a", "va", "b", "vb", "c", "vc", "d", "vd")
	for _, bounds := range [][2][]byte{{[]byte("b"), []byte("d")}, {[]byte("aa"), []byte("cc")}} {
		it, err := e.NewIter(bounds[0], bounds[1])
		noError(t, err)
		runMoves(t, it, []move{
			{"last", "", "c"},
			{"next", "", ""},
			{"next", "", ""},
			{"prev", "", "c"},
			{"prev", "", "b"},
			{"prev", "", ""},
			{"prev", "", ""},
			{"next", "", "b"},
			{"seekge", "z", ""},
			{"prev", "", "c"},
			{"seeklt", "a", ""},
			{"next", "", "b"},
		})
	}
}

func testIterIsFrozen(t *testing.T, s Subject) {
	e := s.open(t)
	set(t, e, "a", "va", "b", "vb", "c", "vc")
	it, err := e.NewIter(nil, nil)
	noError(t, err)
	if !it.First() {
		t.Fatal("no first key")
	}
	commit(t, e, func(b engine.Batch) {
		noError(t, b.DeleteRange([]byte("a"), []byte("c")))
		noError(t, b.Set([]byte("c"), []byte("new")))
		noError(t, b.Set([]byte("d"), []byte("new")))
	})
	noError(t, e.Flush())
	runMoves(t, it, []move{
		{"next", "", "b"},
		{"next", "", "c"},
		{"next", "", ""},
		{"first", "", "a"},
		{"seekge", "b", "b"},
	})
	wantAll(t, e, "c=new", "d=new")
}

func testSeekPrefix(t *testing.T, s Subject) {
	e := s.open(t)
	commit(t, e, func(b engine.Batch) {
		for _, name := range []string{"a", "b", "b\x00", "b\x00\x01", "bb", "d"} {
			for _, revision := range []uint64{3, 7, 1 << 40} {
				key := versionKey(name, revision)
				noError(t, b.Set(key, append([]byte("v"), key...)))
			}
		}
		noError(t, b.Set([]byte("plain"), []byte("vplain")))
	})
	for round := range 2 {
		checkSeekPrefix(t, e)
		snap := e.NewSnapshot()
		checkSeekPrefix(t, snap)
		noError(t, snap.Close())
		if round == 0 {
			noError(t, e.Flush())
		}
	}
	commit(t, e, func(b engine.Batch) {
		noError(t, b.DeleteRange(versionPrefix("b"), versionPrefix("bb")))
		noError(t, b.Delete(versionKey("d", 7)))
	})
	wantSeek(t, e, versionPrefix("b"), versionKey("b", 9), nil)
	wantSeek(t, e, versionPrefix("d"), versionKey("d", 9), versionKey("d", 3))

	// A range may begin and end between the versions of a key.
	commit(t, e, func(b engine.Batch) {
		noError(t, b.DeleteRange(versionKey("a", 7), versionKey("bb", 6)))
	})
	for range 2 {
		wantSeek(t, e, versionPrefix("a"), versionPrefix("a"), versionKey("a", 1<<40))
		wantSeek(t, e, versionPrefix("a"), versionKey("a", 7), nil)
		wantSeek(t, e, versionPrefix("bb"), versionPrefix("bb"), versionKey("bb", 3))
		noError(t, e.Flush())
	}
}

func checkSeekPrefix(t *testing.T, r engine.Reader) {
	t.Helper()
	for _, name := range []string{"a", "b", "b\x00", "b\x00\x01", "bb", "d"} {
		prefix := versionPrefix(name)
		wantSeek(t, r, prefix, prefix, versionKey(name, 1<<40))
		wantSeek(t, r, prefix, versionKey(name, 1<<50), versionKey(name, 1<<40))
		wantSeek(t, r, prefix, versionKey(name, 7), versionKey(name, 7))
		wantSeek(t, r, prefix, versionKey(name, 6), versionKey(name, 3))
		wantSeek(t, r, prefix, versionKey(name, 2), nil)
	}
	wantSeek(t, r, versionPrefix("c"), versionKey("c", 5), nil)
	wantSeek(t, r, versionPrefix("z"), versionPrefix("z"), nil)
	wantSeek(t, r, []byte{0x04}, versionKey("c", 5), versionKey("d", 1<<40))
	wantSeek(t, r, []byte{0x04}, []byte{0x04}, versionKey("a", 1<<40))
	wantSeek(t, r, []byte("pl"), []byte("pl"), []byte("plain"))
	wantSeek(t, r, []byte("plain"), []byte("plain"), []byte("plain"))
	wantSeek(t, r, []byte("plain"), []byte("plain "), nil)
	wantSeek(t, r, nil, []byte("n"), []byte("plain"))
	_, _, err := r.SeekPrefix([]byte("b"), []byte("a"))
	wantError(t, err, kv.ErrInvalid)
}

// wantSeek checks SeekPrefix; a nil want means that nothing is found. The
// value of every key is the key after a "v".
func wantSeek(t *testing.T, r engine.Reader, prefix, seek, want []byte) {
	t.Helper()
	key, value, err := r.SeekPrefix(prefix, seek)
	if want == nil {
		wantError(t, err, engine.ErrNotFound)
		return
	}
	noError(t, err)
	if string(key) != string(want) || string(value) != "v"+string(want) {
		t.Fatalf("SeekPrefix(%x, %x) = %x, %x; want key %x", prefix, seek, key, value, want)
	}
}

func testSnapshot(t *testing.T, s Subject) {
	e := s.open(t)
	set(t, e, "a", "1", "b", "2")
	old := e.NewSnapshot()
	commit(t, e, func(b engine.Batch) {
		noError(t, b.Delete([]byte("a")))
		noError(t, b.Set([]byte("b"), []byte("3")))
		noError(t, b.Set([]byte("c"), []byte("4")))
	})
	late := e.NewSnapshot()
	noError(t, e.Flush())
	commit(t, e, func(b engine.Batch) {
		noError(t, b.DeleteRange([]byte("a"), []byte("z")))
	})
	noError(t, e.Flush())
	wantAll(t, e)
	wantAll(t, old, "a=1", "b=2")
	wantGet(t, old, "a", "1")
	wantGet(t, old, "c", "")
	wantAll(t, late, "b=3", "c=4")
	wantGet(t, late, "a", "")

	it, err := old.NewIter([]byte("a"), []byte("b"))
	noError(t, err)
	noError(t, old.Close())
	if !it.First() || string(it.Key()) != "a" || it.Next() {
		t.Fatal("an iterator did not outlive its snapshot")
	}
	noError(t, it.Close())
	noError(t, late.Close())
}
