package mvcc

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/engine/memory"
	"github.com/miruvor/miruvor/internal/engine/pebble"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
)

// TestSweep holds sweeps against brute force: random writes, floors that are
// raised again and again, parts of random size, sweeps given up half way.
func TestSweep(t *testing.T) {
	seeds := 400
	if testing.Short() {
		seeds = 100
	}
	for seed := range seeds {
		newGarden(t, uint64(seed), memory.New()).run(12)
	}
}

func TestSweepOnPebble(t *testing.T) {
	for seed := range 5 {
		e, err := pebble.Open("", pebble.Options{FS: vfs.NewMem(), CacheBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		newGarden(t, uint64(seed), e).run(30)
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// garden is a shard that is written and swept, and what it should hold.
type garden struct {
	t      *testing.T
	rng    *rand.Rand
	engine engine.Engine
	// live are the lives that keys are in: their first revision and their
	// count of puts.
	live map[string]Write
	// written is every write ever, by revision.
	written map[kv.Revision][]Write
	last    kv.Revision
	// floor is the lowest revision that can be read, from where the next part
	// begins.
	floor kv.Revision
	from  Place
	since kv.Revision
}

func newGarden(t *testing.T, seed uint64, e engine.Engine) *garden {
	t.Helper()
	t.Logf("seed %d", seed)
	return &garden{
		t: t, rng: rand.New(rand.NewPCG(seed, 2)), engine: e, live: map[string]Write{},
		written: map[kv.Revision][]Write{}, last: kv.FirstRevision,
	}
}

func (g *garden) run(rounds int) {
	for range rounds {
		for range g.rng.IntN(20) {
			g.write()
		}
		g.floor += kv.Revision(g.rng.Int64N(int64(g.last-g.floor) + 1))
		g.sweep()
	}
}

// write applies one transaction on a few of few keys.
func (g *garden) write() {
	g.last += kv.Revision(1 + g.rng.IntN(3))
	var writes []Write
	for _, i := range g.rng.Perm(6)[:1+g.rng.IntN(4)] {
		key := []string{"a", "a\x00", "b", "c\xff", "d", "e"}[i]
		w, alive := g.live[key]
		switch {
		case alive && g.rng.IntN(3) == 0:
			delete(g.live, key)
			writes = append(writes, Write{Key: []byte(key), Tombstone: true})
			continue
		case !alive:
			w = Write{Key: []byte(key), Create: g.last}
		}
		w.Version++
		w.Value = fmt.Append(nil, g.last)
		g.live[key] = w
		writes = append(writes, w)
	}
	b := g.engine.NewBatch()
	g.must(Apply(b, nil, testShard, g.last, writes))
	g.must(b.Commit())
	g.written[g.last] = writes
}

// sweep sweeps in parts, and now and then begins anew or lets writes in.
func (g *garden) sweep() {
	floor := g.floor
	for {
		b := g.engine.NewBatch()
		done, err := Sweep(g.engine, b, testShard, SweepPart{
			From: g.from, Floor: floor, Since: g.since, EntriesMax: 1 + g.rng.IntN(60),
		})
		g.must(err)
		g.must(b.Commit())
		g.from = done.Next
		g.checkReads()
		g.checkWhole()
		if done.Done {
			g.compare(floor)
			g.since = floor
			if g.rng.IntN(10) == 0 {
				g.from, g.since = Place{}, 0 // a restart
			}
			return
		}
		switch g.rng.IntN(12) {
		case 0:
			g.from, g.since = Place{}, 0 // a restart
		case 1:
			g.write()
		case 2: // the floor is raised half way
			g.from, g.since = Place{}, 0
			g.floor += kv.Revision(g.rng.Int64N(int64(g.last-g.floor) + 1))
			floor = g.floor
		}
	}
}

// kept is what should be left after a sweep.
func (g *garden) kept(floor kv.Revision) map[string]bool {
	newest := map[string]kv.Revision{}
	for rev, writes := range g.written {
		for _, w := range writes {
			if rev <= floor {
				newest[string(w.Key)] = max(newest[string(w.Key)], rev)
			}
		}
	}
	kept := map[string]bool{}
	for rev, writes := range g.written {
		for sub, w := range writes {
			stays := rev > floor || rev == newest[string(w.Key)]
			if stays && (rev >= floor || !w.Tombstone) {
				kept[string(keyspace.VersionKey(nil, w.Key, rev))] = true
			}
			if rev >= floor {
				kept[string(keyspace.HistoryKey(nil, testShard, rev, uint32(sub)))] = true
			}
		}
	}
	return kept
}

func (g *garden) compare(floor kv.Revision) {
	g.t.Helper()
	it, err := g.engine.NewIter(nil, nil)
	g.must(err)
	found := map[string]bool{}
	for ok := it.First(); ok; ok = it.Next() {
		found[string(it.Key())] = true
	}
	g.must(it.Close())
	if want := g.kept(floor); !maps.Equal(found, want) {
		g.t.Fatalf("floor %v: left are\n%x\nwant\n%x", floor,
			slices.Sorted(maps.Keys(found)), slices.Sorted(maps.Keys(want)))
	}
}

// checkReads holds reads at the floor and above against all writes.
func (g *garden) checkReads() {
	for at := max(g.floor, 1); at <= g.last; at += 1 + kv.Revision(g.rng.IntN(5)) {
		want := map[string]string{}
		for rev := kv.Revision(1); rev <= at; rev++ {
			for _, w := range g.written[rev] {
				want[string(w.Key)] = string(w.Value)
				if w.Tombstone {
					delete(want, string(w.Key))
				}
			}
		}
		v := View{Reader: g.engine, At: at, Current: g.last, Compacted: g.floor}
		resp, err := v.Range(kv.RangeRequest{Reverse: g.rng.IntN(2) == 0})
		g.must(err)
		found := map[string]string{}
		for _, pair := range resp.KVs {
			found[string(pair.Key)] = string(pair.Value)
		}
		if !maps.Equal(found, want) {
			g.t.Fatalf("floor %v, read at %v: %q, want %q", g.floor, at, found, want)
		}
	}
}

// checkWhole holds the check of a store, and its history from the floor on,
// against a sweep that is half done.
func (g *garden) checkWhole() {
	for p, err := range Check(g.engine, testShard, kv.Range{}, g.floor) {
		g.must(err)
		g.t.Fatalf("floor %v: %v", g.floor, p)
	}
	events := 0
	for _, err := range History(g.engine, testShard, g.floor, 0) {
		g.must(err)
		events++
	}
	for rev, writes := range g.written {
		if rev >= g.floor {
			events -= len(writes)
		}
	}
	if events != 0 {
		g.t.Fatalf("the history from %v on has %d events more than there were", g.floor, events)
	}
}

func (g *garden) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

// TestSweepCountsWhatGoes sweeps a key that was written often.
func TestSweepCountsWhatGoes(t *testing.T) {
	g := newGarden(t, 1, memory.New())
	bytes := 0
	for rev := kv.Revision(2); rev < 1002; rev++ {
		b := g.engine.NewBatch()
		g.must(Apply(b, nil, testShard, rev, []Write{
			{Key: []byte("hot"), Create: 2, Version: int64(rev - 1), Value: make([]byte, 100)},
		}))
		g.must(b.Commit())
	}
	versions, entries := 0, 0
	for from, parts := (Place{}), 0; ; parts++ {
		b := g.engine.NewBatch()
		part := SweepPart{From: from, Floor: 1001, EntriesMax: 100}
		done, err := Sweep(g.engine, b, testShard, part)
		g.must(err)
		g.must(b.Commit())
		versions, entries = versions+done.Versions, entries+done.Entries
		bytes += int(done.VersionBytes + done.HistoryBytes)
		if from = done.Next; done.Done {
			if parts != 9 {
				t.Errorf("%d parts", parts)
			}
			break
		}
	}
	if versions != 999 || entries != 1000 || bytes < 999*100 || bytes > 1000*170 {
		t.Errorf("%d versions of %d entries, %d bytes", versions, entries, bytes)
	}
}

// TestSweepCountsWhatWasDeleted: what a deletion covers counts with its size, also
// if its entry is in another part than that of the deletion.
func TestSweepCountsWhatWasDeleted(t *testing.T) {
	const keys, valueBytes = 50, 1000
	g := newGarden(t, 1, memory.New())
	apply := func(rev kv.Revision, w Write) {
		b := g.engine.NewBatch()
		g.must(Apply(b, nil, testShard, rev, []Write{w}))
		g.must(b.Commit())
	}
	for i := range keys {
		rev, key := kv.Revision(2+i), []byte{'k', byte(i)}
		apply(rev, Write{Key: key, Create: rev, Version: 1, Value: make([]byte, valueBytes)})
		apply(rev+keys, Write{Key: key, Tombstone: true})
	}
	bytes, versions := 0, 0
	for from, done := (Place{}), false; !done; {
		b := g.engine.NewBatch()
		part, err := Sweep(g.engine, b, testShard,
			SweepPart{From: from, Floor: 2 + 2*keys, EntriesMax: 30})
		g.must(err)
		g.must(b.Commit())
		bytes, versions = bytes+int(part.VersionBytes), versions+part.Versions
		from, done = part.Next, part.Done
	}
	if versions != 2*keys || bytes < keys*valueBytes || bytes > 2*keys*valueBytes {
		t.Errorf("%d versions with %d bytes", versions, bytes)
	}
}
