package raftlog

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/kv"
)

// disk is the files of a directory, by name.
type disk map[string][]byte

func readDisk(t testing.TB, fs vfs.FS) disk {
	t.Helper()
	names, err := fs.List("raft")
	must(t, err)
	d := disk{}
	for _, name := range names {
		f, err := fs.Open(fs.PathJoin("raft", name))
		must(t, err)
		d[name], err = io.ReadAll(f)
		must(t, err)
		must(t, f.Close())
	}
	return d
}

func (d disk) segments() []string {
	var out []string
	for name := range d {
		if strings.HasSuffix(name, segmentSuffix) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// fs makes a file system of d.
func (d disk) fs(t testing.TB) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewMem()
	must(t, fs.MkdirAll("raft", 0o755))
	for name, data := range d {
		f, err := fs.Create(fs.PathJoin("raft", name), diskCategory)
		must(t, err)
		_, err = f.Write(bytes.Clone(data))
		must(t, err)
		must(t, f.Close())
	}
	return fs
}

var damageOptions = Options{Dir: "raft", SegmentBytes: segmentBytesMin, Salt: 3}

// smallLog writes and syncs a log of a few recycled segments. The last batch
// is the second of the last segment.
func smallLog(t testing.TB) (*vfs.MemFS, *Log, model) {
	t.Helper()
	return saltedLog(t, damageOptions.Salt)
}

// saltedLog is smallLog with checksums of its own.
func saltedLog(t testing.TB, salt uint64) (*vfs.MemFS, *Log, model) {
	t.Helper()
	fs := vfs.NewCrashableMem()
	opts := damageOptions
	opts.FS, opts.Salt = fs, salt
	l := mustOpen(t, opts)
	m := model{}
	rng := rand.New(rand.NewPCG(1, 2))
	for len(l.files.segments) < 3 || l.files.head().head.id < 7 || l.files.head().end < 1000 {
		rec := m.randomRecord(rng, 3, 400)
		m.apply(rec)
		must(t, l.Append([]Record{rec}))
		must(t, l.Sync())
		if g := m[rec.Shard]; l.files.head().head.id < 6 && g.last > g.base {
			m.truncate(rec.Shard, g.last)
			l.Group(rec.Shard).Truncate(g.base)
		}
	}
	if first := l.files.segments[0].head.id; first < 2 {
		t.Fatalf("log begins with segment %d, nothing was recycled", first)
	}
	return fs, l, m
}

// refusedOrWhole opens a damaged disk: it must be refused as corrupt, or hold
// all that the model has. It reports whether it was refused.
func refusedOrWhole(t testing.TB, d disk, m model, what string, at int) bool {
	t.Helper()
	opts := damageOptions
	fs := d.fs(t)
	opts.FS = fs
	l, err := Open(opts)
	if err != nil {
		if !errors.Is(err, kv.ErrCorrupt) && !errors.Is(err, ErrNewerVersion) {
			t.Fatalf("%s at %d: %v", what, at, err)
		}
		if at%32 == 0 {
			wantSameDisk(t, readDisk(t, fs), d)
		}
		return true
	}
	if diff := m.diff(l, true); diff != "" {
		t.Fatalf("%s at %d: opened, but %s", what, at, diff)
	}
	must(t, l.Close())
	return false
}

// wantSameDisk checks that a refusal changed nothing.
func wantSameDisk(t testing.TB, got, want disk) {
	t.Helper()
	for name, data := range want {
		if len(got) != len(want) || !bytes.Equal(data, got[name]) {
			t.Fatalf("refused, but changed %s", name)
		}
	}
}

// flipAll flips a bit in every byte of some segments and returns how many
// flips were refused, and how many there were.
func flipAll(t *testing.T, d disk, names []string, m model) (refused, total int) {
	step := 1
	if testing.Short() {
		step = 23
	}
	for _, name := range names {
		data := d[name]
		for at := 0; at < len(data); at += step {
			bit := byte(1) << (at % 8)
			data[at] ^= bit
			if refusedOrWhole(t, d, m, "flip in "+name, at) {
				refused++
			}
			data[at] ^= bit
			total++
		}
	}
	return refused, total
}

func TestFlipsAfterClose(t *testing.T) {
	fs, l, m := smallLog(t)
	must(t, l.Close())
	d := readDisk(t, fs)
	refused, total := flipAll(t, d, d.segments(), m)
	if refused < total/4 {
		t.Fatalf("%d of %d flips were refused", refused, total)
	}
}

// TestFlipsAfterKill flips bits in what a killed process leaves, all of it
// synced: the marker protects the last batch.
func TestFlipsAfterKill(t *testing.T) {
	fs, l, m := smallLog(t)
	d := readDisk(t, fs)
	must(t, l.Close())
	names := d.segments()
	flipAll(t, d, names[len(names)-1:], m)
}

// TestFlipsAfterPowerLoss has no marker of the last sync. Then a damaged last
// batch looks like a torn one; nothing before it may be lost.
func TestFlipsAfterPowerLoss(t *testing.T) {
	fs, l, m := smallLog(t)
	rec := Record{Shard: 1, Hard: makeHard(99, 9, 9)}
	before := m.clone()
	m.apply(rec)
	must(t, l.Append([]Record{rec}))
	end := int(l.files.synced)
	must(t, l.Sync())
	d := readDisk(t, fs.CrashClone(vfs.CrashCloneCfg{}))
	must(t, l.Close())
	names := d.segments()
	name := names[len(names)-1]
	for at := range d[name] {
		d[name][at] ^= 4
		want := m
		if at >= end {
			want = before
			opts := damageOptions
			opts.FS = d.fs(t)
			if l := mustOpen(t, opts); m.diff(l, true) == "" {
				want = m // behind the last batch
			}
		}
		refusedOrWhole(t, d, want, "flip in "+name, at)
		d[name][at] ^= 4
	}
}

func TestTruncatedFiles(t *testing.T) {
	fs, l, m := smallLog(t)
	must(t, l.Close())
	d := readDisk(t, fs)
	for _, name := range d.segments() {
		whole := d[name]
		for n := 0; n < len(whole); n += 31 {
			d[name] = whole[:n]
			if !refusedOrWhole(t, d, m, "cut of "+name, n) {
				t.Fatalf("%s cut to %d of %d bytes was not noticed", name, n, len(whole))
			}
		}
		d[name] = whole
	}
}

func TestMissingFiles(t *testing.T) {
	fs, l, m := smallLog(t)
	must(t, l.Close())
	d := readDisk(t, fs)
	for _, name := range d.segments() {
		whole := d[name]
		delete(d, name)
		if !refusedOrWhole(t, d, m, "loss of "+name, 0) {
			t.Fatalf("the loss of %s was not noticed", name)
		}
		d[name] = whole
	}
}

func TestSwappedFiles(t *testing.T) {
	fs, l, m := smallLog(t)
	must(t, l.Close())
	d := readDisk(t, fs)
	names := d.segments()
	d[names[0]], d[names[1]] = d[names[1]], d[names[0]]
	if !refusedOrWhole(t, d, m, "swap", 0) {
		t.Fatal("swapped segments were not noticed")
	}
}

func TestNewerVersionIsRefusedUntouched(t *testing.T) {
	fs, l, m := smallLog(t)
	must(t, l.Close())
	d := readDisk(t, fs)
	for _, name := range d.segments() {
		d[name][8]++
		opts := damageOptions
		opts.FS = d.fs(t)
		if _, err := Open(opts); !errors.Is(err, ErrNewerVersion) {
			t.Fatalf("%s of a newer version: %v", name, err)
		}
		refusedOrWhole(t, d, m, "newer "+name, 0)
		d[name][8]--
	}
}

// TestCheckGoesOn damages two places and wants both reported.
func TestCheckGoesOn(t *testing.T) {
	fs, l, _ := smallLog(t)
	must(t, l.Close())
	d := readDisk(t, fs)
	names := d.segments()
	d[names[0]][segmentHeaderBytes+40] ^= 1
	d[names[1]][segmentHeaderBytes+2] ^= 1
	problems, err := Check(d.fs(t), "raft")
	if err != nil || len(problems) != 2 {
		t.Fatalf("problems %v, %v", problems, err)
	}
	for i, p := range problems {
		if !strings.HasSuffix(p.File, names[i]) || p.Offset != segmentHeaderBytes {
			t.Fatalf("problem %d is %v", i, p)
		}
	}
}

// TestReadVerifies damages an entry under a running log.
func TestReadVerifies(t *testing.T) {
	fs := vfs.NewMem()
	opts := testOptions(fs)
	opts.CacheBytes = 1
	l := mustOpen(t, opts)
	defer l.Close()
	must(t, l.Append([]Record{{Shard: 1, Entries: makeEntries(1, 3, 1, 100)}}))
	f, err := fs.OpenReadWrite("raft/"+segmentName(1), diskCategory)
	must(t, err)
	_, err = f.WriteAt([]byte{'y'}, l.files.head().end-50)
	must(t, err)
	must(t, f.Close())
	if _, err := l.Group(1).Entries(1, 4, 1<<20); !errors.Is(err, kv.ErrCorrupt) {
		t.Fatalf("entries: %v", err)
	}
}

// TestRuinedBlocks overwrites blocks of what a killed process and a clean end leave,
// with zeros and with other blocks. The end of the head goes with them: only the note
// tells that there was more.
func TestRuinedBlocks(t *testing.T) {
	fs, l, m := smallLog(t)
	killed := readDisk(t, fs)
	must(t, l.Close())
	for _, d := range []disk{killed, readDisk(t, fs)} {
		for _, name := range d.segments() {
			whole := d[name]
			for _, size := range []int{512, 1024} {
				for at := 0; at+size <= len(whole); at += size {
					ruined := bytes.Clone(whole)
					clear(ruined[at : at+size])
					d[name] = ruined
					refusedOrWhole(t, d, m, "zeros in "+name, at)
					for from := 0; from+size <= len(whole); from += size {
						d[name] = bytes.Clone(whole)
						copy(d[name][at:], whole[from:from+size])
						refusedOrWhole(t, d, m, "block twice in "+name, at)
						copy(d[name][from:], whole[at:at+size])
						refusedOrWhole(t, d, m, "blocks swapped in "+name, at)
					}
				}
			}
			d[name] = whole
		}
	}
}

// TestStrangeSegments puts segments of a log that went through the same in the places of
// its own.
func TestStrangeSegments(t *testing.T) {
	fs, l, m := smallLog(t)
	must(t, l.Close())
	d := readDisk(t, fs)
	strangeFS, strange, _ := saltedLog(t, damageOptions.Salt+1)
	must(t, strange.Close())
	names, from := d.segments(), readDisk(t, strangeFS)
	for _, name := range names {
		whole := d[name]
		d[name] = from[name]
		if !refusedOrWhole(t, d, m, "strange "+name, 0) {
			t.Errorf("%s of another log was not noticed", name)
		}
		problems, err := Check(d.fs(t), "raft")
		if err != nil || !slices.ContainsFunc(problems, func(p Problem) bool {
			return strings.HasSuffix(p.File, name)
		}) {
			t.Errorf("strange %s: the check finds %v, %v", name, problems, err)
		}
		d[name] = whole
	}
}

// TestLostEnd zeroes the head from any batch on: the killed process had synced it.
func TestLostEnd(t *testing.T) {
	fs, l, m := smallLog(t)
	d := readDisk(t, fs)
	end := int(l.files.head().end)
	must(t, l.Close())
	names := d.segments()
	name := names[len(names)-1]
	whole := d[name]
	for at := segmentHeaderBytes; at < end; at += batchAlign {
		d[name] = bytes.Clone(whole)
		clear(d[name][at:])
		if !refusedOrWhole(t, d, m, "end of "+name, at) {
			t.Fatalf("%s has zeros from %d on, which was not noticed", name, at)
		}
	}
	d[name] = whole
	d[noteName] = nil // without its note, a log is as good as it says
	if refusedOrWhole(t, d, m, "note", 0) {
		t.Fatal("refused for its note alone")
	}
	problems, err := Check(d.fs(t), "raft")
	if err != nil || len(problems) != 1 || !strings.HasSuffix(problems[0].File, noteName) {
		t.Fatalf("problems %v, %v, want the note", problems, err)
	}
	for _, name := range names {
		delete(d, name)
	}
	d[noteName] = readDisk(t, fs)[noteName]
	if !refusedOrWhole(t, d, m, "all segments", 0) {
		t.Fatal("the loss of all segments was not noticed")
	}
}
