package pebble

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/engine"
)

// twins are the files of an engine with two tables of one size, and their names.
func twins(t *testing.T) (files map[string][]byte, names []string) {
	t.Helper()
	disk := vfs.NewMem()
	e := &Engine{dir: testDir, reclaimer: newReclaimer()}
	e.events = newEvents(&Options{Logger: discard}, &e.durable)
	e.options = pebbleOptions(Options{FS: disk}, e.events, &e.opened)
	e.options.DisableAutomaticCompactions = true
	noErr(t, e.open())
	const tables = 10
	for i := range uint64(tables) {
		chain(t, e, chainEnd/tables*i+1, chainEnd/tables*(i+1))
		noErr(t, e.Flush())
	}
	noErr(t, e.Close())
	files = filesOf(t, disk)
	bySize := map[int][]string{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		size := len(files[name])
		if bySize[size] = append(bySize[size], name); len(bySize[size]) == 2 &&
			strings.HasSuffix(name, ".sst") {
			return files, bySize[size]
		}
	}
	t.Fatalf("no two tables of one size: %v", bySize)
	return nil, nil
}

// TestExchangedTables: Pebble would open tables of one size in each other's place.
func TestExchangedTables(t *testing.T) {
	files, names := twins(t)
	a, b := names[0], names[1]
	files[a], files[b] = files[b], files[a]
	_, err := Open(testDir, Options{FS: diskOf(t, files)})
	if list := Damages(err); len(list) != 2 {
		t.Errorf("%s and %s exchanged: %v", a, b, err)
	}
	files[b] = files[a]
	files[a], files[b] = files[b], files[a]
	if count := judge(t, "a table twice", files); count != 0 {
		t.Errorf("a table twice: %d commits", count)
	}
	delete(files, ledgerName)
	e := mustOpen(t, Options{FS: diskOf(t, files), ReadOnly: true})
	if count, err := prefix(e); err == nil {
		t.Errorf("without a ledger there are %d commits, so this test says nothing", count)
	}
	noErr(t, e.Close())
}

// TestExchangedBlocks exchanges parts of two tables, at all bounds.
func TestExchangedBlocks(t *testing.T) {
	files, names := twins(t)
	a, b := files[names[0]], files[names[1]]
	for from := 0; from < len(a); from += 64 {
		end := min(from+64, len(a))
		if bytes.Equal(a[from:end], b[from:end]) {
			continue
		}
		bad := maps.Clone(files)
		bad[names[0]] = slices.Concat(a[:from], b[from:end], a[end:])
		if count := judge(t, fmt.Sprintf("%d to %d", from, end), bad); count != 0 {
			t.Errorf("%d to %d of another table: %d commits", from, end, count)
		}
	}
}

// TestLedgerKnowsAll: after whatever wrote tables, the ledger has them as they are.
func TestLedgerKnowsAll(t *testing.T) {
	disk := vfs.NewMem()
	e := mustOpen(t, Options{FS: disk})
	for i := range uint64(6) {
		chain(t, e, 20*i+1, 20*i+20)
		noErr(t, e.Flush())
	}
	noErr(t, largeIngest(e))
	e.Reclaim(engine.Span{Start: []byte{3}, End: []byte{4}}, 1<<30)
	noErr(t, e.Close())
	e = mustOpen(t, Options{FS: disk, ReadOnly: true})
	numbers, err := e.liveTables()
	noErr(t, err)
	if len(numbers) == 0 || e.badNotes != nil {
		t.Errorf("%d tables, %v", len(numbers), e.badNotes)
	}
	for _, number := range numbers {
		want, err := e.sumTable(e.tablePath(number), compareBytesMax)
		noErr(t, err)
		if got, ok := e.noting.ledger.get(number); !ok || got != want {
			t.Errorf("table %d is %+v, the ledger says %+v, %v", number, want, got, ok)
		}
	}
	noErr(t, e.Check())
	noErr(t, e.Close())
}

// TestLedgerIsMadeAnew: of an engine that has none, and of one whose ledger is damaged,
// which loses nothing and is found.
func TestLedgerIsMadeAnew(t *testing.T) {
	for what, ruin := range map[string]func([]byte) []byte{
		"gone":       nil,
		"flipped":    func(b []byte) []byte { b[lineBytes+3] ^= 1; return b },
		"cut":        func(b []byte) []byte { return b[:len(b)-1] },
		"empty":      func([]byte) []byte { return nil },
		"noise":      func(b []byte) []byte { return append(b, "noise"...) },
		"lines gone": func(b []byte) []byte { return b[:lineBytes] },
	} {
		files := chained(t)
		if ruin == nil {
			delete(files, ledgerName)
		} else {
			files[ledgerName] = ruin(files[ledgerName])
		}
		disk := diskOf(t, files)
		e := mustOpen(t, Options{FS: disk, ReadOnly: true})
		if err := e.Check(); (err != nil) != (ruin != nil) {
			t.Errorf("%s: the check says %v", what, err)
		} else if ruin != nil {
			wantNamed(t, what, err)
		}
		noErr(t, e.Close())
		noErr(t, mustOpen(t, Options{FS: disk}).Close())
		e = mustOpen(t, Options{FS: disk})
		if err := e.Check(); err != nil {
			t.Errorf("%s: after a start the check says %v", what, err)
		}
		if count, err := prefix(e); err != nil || count != chainEnd {
			t.Errorf("%s: %d commits, %v", what, count, err)
		}
		noErr(t, e.Close())
	}
}

// TestLedgerFreesNumbers: a table that was lost with its directory entry may get its
// number again.
func TestLedgerFreesNumbers(t *testing.T) {
	disk := vfs.NewMem()
	noErr(t, disk.MkdirAll(testDir, 0o755))
	l, err := readLedger(disk, testDir)
	noErr(t, err)
	noErr(t, l.note(7, tableSum{10, 1, 2}))
	noErr(t, l.close())
	l, err = readLedger(disk, testDir)
	noErr(t, err)
	n := newNotingFS(disk, testDir, l)
	f, err := n.Create(disk.PathJoin(testDir, "000007.sst"), vfs.WriteCategoryUnspecified)
	noErr(t, err)
	_, err = f.Write([]byte("given up"))
	noErr(t, errors.Join(err, f.Close(), n.close()))
	l, err = readLedger(disk, testDir)
	noErr(t, err)
	if sum, ok := l.get(7); ok {
		t.Errorf("the ledger still says %+v", sum)
	}
}

// TestMeasure takes the sum of what is written in pieces, and of what lies there.
func TestMeasure(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	disk := vfs.NewMem()
	for _, size := range []int{1, tailBytes - 1, tailBytes, tailBytes + 1, 3*tailBytes + 5} {
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		f, err := disk.Create("f", vfs.WriteCategoryUnspecified)
		noErr(t, err)
		_, err = f.Write(bytes.Clone(data))
		noErr(t, err)
		var m measure
		for rest := data; len(rest) > 0; {
			n, err := m.Write(rest[:min(len(rest), 1+rng.IntN(3000))])
			noErr(t, err)
			rest = rest[n:]
		}
		for most, want := range map[int64]tableSum{
			int64(size): m.sum(), 0: {m.size, 0, m.sum().tail},
		} {
			if most == 0 && size <= tailBytes {
				continue
			}
			got, err := sumOf(f, int64(size), most)
			if err != nil || got != want {
				t.Errorf("%d bytes: %+v, %v, want %+v", size, got, err, want)
			}
			for _, all := range []bool{true, false} {
				if same, err := got.matches(f, all); !same || err != nil {
					t.Errorf("%d bytes do not match themselves: %v", size, err)
				}
			}
		}
		noErr(t, f.Close())
	}
}

func FuzzLine(f *testing.F) {
	line := encodeLine(7, tableSum{100, 1, 2})
	f.Add(line[:])
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) != lineBytes {
			return
		}
		number, sum, ok := decodeLine(data)
		if again := encodeLine(number, sum); ok && !bytes.Equal(again[:], data) {
			t.Errorf("%x and %x both say %d, %+v", data, again, number, sum)
		}
	})
}
