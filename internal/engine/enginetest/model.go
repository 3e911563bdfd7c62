package enginetest

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/miruvor/miruvor/internal/engine"
)

// model is what an engine should hold.
type model map[string]string

func (m model) set(key, value string) { m[key] = value }
func (m model) delete(key string)     { delete(m, key) }
func (m model) clone() model          { return maps.Clone(m) }

func (m model) deleteRange(start, end string) {
	maps.DeleteFunc(m, func(key, _ string) bool { return start <= key && key < end })
}

// keys returns the keys in [lower, upper) in order; upper "" is no bound.
func (m model) keys(lower, upper string) []string {
	var out []string
	for key := range m {
		if key >= lower && (upper == "" || key < upper) {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}

// wantEqual checks that r holds exactly m.
func (m model) wantEqual(t *testing.T, r engine.Reader) {
	t.Helper()
	var want []string
	for _, key := range m.keys("", "") {
		want = append(want, key+"="+m[key])
	}
	wantAll(t, r, want...)
}

// testModel does random operations on an engine and on a model.
func testModel(t *testing.T, s Subject) {
	steps := 3000
	if testing.Short() {
		steps = 600
	}
	for seed := range uint64(4) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			r := &modelRun{s: s, rng: newRand(seed), engine: s.Open(t), model: model{}}
			for range steps {
				r.step(t)
			}
			r.end(t)
		})
	}
}

// modelRun is one random run.
type modelRun struct {
	s      Subject
	rng    *rand.Rand
	engine engine.Engine
	model  model
	views  []modelView
}

// modelView is a snapshot and what it should hold.
type modelView struct {
	snapshot engine.Snapshot
	model    model
}

func (r *modelRun) step(t *testing.T) {
	t.Helper()
	reader, m := r.view()
	switch n := r.rng.IntN(100); {
	case n < 40:
		r.commit(t)
	case n < 60:
		r.checkGet(t, reader, m)
	case n < 75:
		r.checkSeekPrefix(t, reader, m)
	case n < 88:
		r.checkIter(t, reader, m)
	case n < 92:
		r.openView()
	case n < 96:
		r.closeView(t)
	case n < 97:
		noError(t, r.engine.Flush())
	case n < 99:
		r.ingest(t)
	default:
		r.crash(t)
	}
}

// view picks the engine or a snapshot.
func (r *modelRun) view() (engine.Reader, model) {
	if i := r.rng.IntN(len(r.views) + 1); i < len(r.views) {
		return r.views[i].snapshot, r.views[i].model
	}
	return r.engine, r.model
}

func (r *modelRun) openView() {
	if len(r.views) < 4 {
		r.views = append(r.views, modelView{r.engine.NewSnapshot(), r.model.clone()})
	}
}

func (r *modelRun) closeView(t *testing.T) {
	t.Helper()
	if len(r.views) == 0 {
		return
	}
	i := r.rng.IntN(len(r.views))
	r.views[i].model.wantEqual(t, r.views[i].snapshot)
	noError(t, r.views[i].snapshot.Close())
	r.views = slices.Delete(r.views, i, i+1)
}

// key is plain or a version, out of few enough to meet often.
func (r *modelRun) key() string {
	if r.rng.IntN(2) == 0 {
		return fmt.Sprintf("\x02%02d", r.rng.IntN(40))
	}
	return string(versionKey(r.name(), uint64(r.rng.IntN(8))))
}

func (r *modelRun) name() string {
	return []string{"a", "a\x00", "a\x00\x01", "aa", "b", "\xff"}[r.rng.IntN(6)]
}

// bounds are the ends of a range.
func (r *modelRun) bounds(pick func() string) (start, end string) {
	start, end = pick(), pick()
	return min(start, end), max(start, end)
}

// bound is a key, a version without its revision, or of a shape that no key
// has: with half a revision or with more than one.
func (r *modelRun) bound() string {
	switch r.rng.IntN(4) {
	case 0:
		return string(versionPrefix(r.name()))
	case 1:
		key := r.key()
		return key[:len(key)-r.rng.IntN(min(len(key), revisionBytes))]
	case 2:
		return r.key() + string([]byte{0, 1, 0xff}[r.rng.IntN(3)])
	default:
		return r.key()
	}
}

// spanBound is a key or a version without its revision.
func (r *modelRun) spanBound() string {
	if r.rng.IntN(2) == 0 {
		return string(versionPrefix(r.name()))
	}
	return r.key()
}

func (r *modelRun) value() string {
	return strings.Repeat(strconv.Itoa(r.rng.IntN(1000)), r.rng.IntN(20))
}

func (r *modelRun) commit(t *testing.T) {
	t.Helper()
	b := r.engine.NewBatch()
	next := r.model.clone()
	for range 1 + r.rng.IntN(6) {
		switch r.rng.IntN(8) {
		case 0:
			start, end := r.bounds(r.bound)
			noError(t, b.DeleteRange([]byte(start), []byte(end)))
			next.deleteRange(start, end)
		case 1, 2:
			key := r.key()
			noError(t, b.Delete([]byte(key)))
			next.delete(key)
		default:
			key, value := r.key(), r.value()
			noError(t, b.Set([]byte(key), []byte(value)))
			next.set(key, value)
		}
	}
	if r.rng.IntN(10) > 0 {
		noError(t, b.Commit())
		r.model = next
	}
	noError(t, b.Close())
}

// ingest replaces one or two spans.
func (r *modelRun) ingest(t *testing.T) {
	t.Helper()
	a, b := r.bounds(r.spanBound)
	c, d := r.bounds(r.spanBound)
	var spans []engine.Span
	if a < b {
		spans = append(spans, span(a, b))
	}
	if c < d && b <= c {
		spans = append(spans, span(c, d))
	}
	if len(spans) == 0 {
		return
	}
	in := newIngest(t, r.engine, spans)
	next := r.model.clone()
	for _, s := range spans {
		next.deleteRange(string(s.Start), string(s.End))
	}
	for _, pair := range r.ingestPairs(spans) {
		noError(t, in.Add([]byte(pair[0]), []byte(pair[1])))
		next.set(pair[0], pair[1])
	}
	if r.rng.IntN(4) > 0 {
		noError(t, in.Commit())
		r.model = next
	}
	noError(t, in.Abort())
}

// ingestPairs draws pairs of the spans, ascending; sometimes they are large.
func (r *modelRun) ingestPairs(spans []engine.Span) [][2]string {
	pairs := model{}
	for range r.rng.IntN(12) {
		key := r.key()
		for _, s := range spans {
			if key >= string(s.Start) && key < string(s.End) {
				pairs[key] = r.value()
			}
		}
	}
	var out [][2]string
	for _, key := range pairs.keys("", "") {
		if r.rng.IntN(20) == 0 {
			pairs[key] = string(bytes.Repeat([]byte("large"), 60<<10))
		}
		out = append(out, [2]string{key, pairs[key]})
	}
	return out
}

func (r *modelRun) checkGet(t *testing.T, reader engine.Reader, m model) {
	t.Helper()
	key := r.key()
	got, err := reader.Get([]byte(key))
	want, ok := m[key]
	if !ok {
		wantError(t, err, engine.ErrNotFound)
		return
	}
	if err != nil {
		t.Fatalf("Get(%x): %v", key, err)
	}
	if string(got) != want {
		t.Fatalf("Get(%x) = %q, want %q", key, got, want)
	}
}

func (r *modelRun) checkSeekPrefix(t *testing.T, reader engine.Reader, m model) {
	t.Helper()
	prefix := string(versionPrefix(r.name()))
	seek := prefix + r.key()[3:]
	if r.rng.IntN(2) == 0 {
		seek = prefix + strings.Repeat("\xff", 7) + string(rune(0x78+r.rng.IntN(8)))
	}
	key, value, err := reader.SeekPrefix([]byte(prefix), []byte(seek))
	keys := m.keys(seek, "")
	if len(keys) == 0 || !strings.HasPrefix(keys[0], prefix) {
		wantError(t, err, engine.ErrNotFound)
		return
	}
	if err != nil {
		t.Fatalf("SeekPrefix(%x, %x): %v, want %x", prefix, seek, err, keys[0])
	}
	if string(key) != keys[0] || string(value) != m[keys[0]] {
		t.Fatalf("SeekPrefix(%x, %x) = %x, %q; want %x", prefix, seek, key, value, keys[0])
	}
}

// checkIter moves an iterator at random beside an index into sorted keys.
// Position -1 is before the first key, len(keys) after the last.
func (r *modelRun) checkIter(t *testing.T, reader engine.Reader, m model) {
	t.Helper()
	var lower, upper string
	if r.rng.IntN(3) > 0 {
		lower, upper = r.bounds(r.bound)
	}
	keys := m.keys(lower, upper)
	if upper == "" {
		keys = m.keys("", "")
	}
	it, err := reader.NewIter(bound(lower), bound(upper))
	noError(t, err)
	at := 0
	for i := range 12 {
		var ok bool
		var move string
		if i == 0 {
			ok, at, move = it.First(), 0, "first"
		} else {
			ok, at, move = r.move(it, keys, at)
		}
		want := at >= 0 && at < len(keys)
		if ok != want || ok && (string(it.Key()) != keys[at] || string(it.Value()) != m[keys[at]]) {
			t.Fatalf("%s in [%x, %x): found is %v at %x, want index %d of %x",
				move, lower, upper, ok, it.Key(), at, keys)
		}
	}
	noError(t, it.Error())
	noError(t, it.Close())
}

func bound(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

// move makes one random move and returns where it should have led.
func (r *modelRun) move(it engine.Iterator, keys []string, at int) (ok bool, to int, name string) {
	switch r.rng.IntN(8) {
	case 0:
		return it.First(), 0, "first"
	case 1:
		return it.Last(), len(keys) - 1, "last"
	case 2:
		key := r.bound()
		return it.SeekGE([]byte(key)), sort.SearchStrings(keys, key), "seekge"
	case 3:
		key := r.bound()
		return it.SeekLT([]byte(key)), sort.SearchStrings(keys, key) - 1, "seeklt"
	case 4, 5:
		return it.Next(), min(at+1, len(keys)), "next"
	default:
		return it.Prev(), max(at-1, -1), "prev"
	}
}

// crash goes on with what a crash leaves after a flush.
func (r *modelRun) crash(t *testing.T) {
	t.Helper()
	for len(r.views) > 0 {
		r.closeView(t)
	}
	noError(t, r.engine.Flush())
	left := r.s.Crash(t, r.engine, r.rng)
	noError(t, r.engine.Close())
	r.engine = left
	r.model.wantEqual(t, left)
}

func (r *modelRun) end(t *testing.T) {
	t.Helper()
	for len(r.views) > 0 {
		r.closeView(t)
	}
	r.model.wantEqual(t, r.engine)
	noError(t, r.engine.Check())
	noError(t, r.engine.Close())
}
