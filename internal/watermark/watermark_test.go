package watermark

import (
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const path = "SYNCED"

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantMark(t *testing.T, disk vfs.FS, want Mark) {
	t.Helper()
	if got, err := Read(disk, path); err != nil || got != want {
		t.Errorf("the note says %+v, %v, want %+v", got, err, want)
	}
}

func TestNote(t *testing.T) {
	disk := vfs.NewCrashableMem()
	wantMark(t, disk, Mark{})
	n, err := Open(disk, path, Mark{3, 100, 7})
	must(t, err)
	wantMark(t, disk, Mark{3, 100, 7})
	must(t, n.Set(Mark{3, 200, 7}))
	wantMark(t, disk, Mark{3, 200, 7})
	must(t, n.Close())
	n, err = Open(disk, path, Mark{1, 1, 0})
	must(t, err)
	wantMark(t, disk, Mark{3, 200, 7})
	must(t, n.Set(Mark{4, 64, 1}))
	must(t, n.Close())
	wantMark(t, disk, Mark{4, 64, 1})
	if allocs := testing.AllocsPerRun(10, func() { must(t, n.Set(Mark{4, 64, 1})) }); allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// TestCrash finds, whatever a crash leaves, some note that was written, or none.
func TestCrash(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		disk := vfs.NewCrashableMem()
		n, err := Open(disk, path, Mark{1, 0, 0})
		must(t, err)
		for i := range int64(3) {
			must(t, n.Set(Mark{1, i, 0}))
		}
		left := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
		if m, err := Read(left, path); err != nil || m.File > 1 || m.End > 2 {
			t.Errorf("left is %+v, %v", m, err)
		}
		must(t, n.Close())
	}
}

// TestDamage flips each bit, cuts to each length and adds a byte. All is noticed, and
// the next who opens the note begins it anew.
func TestDamage(t *testing.T) {
	var whole [noteBytes]byte
	Mark{7, 4096, 9}.encode(&whole)
	var all [][]byte
	for bit := range 8 * noteBytes {
		bad := whole
		bad[bit/8] ^= 1 << (bit % 8)
		all = append(all, bad[:])
	}
	for n := range noteBytes {
		all = append(all, whole[:n])
	}
	all = append(all, append(whole[:], 0))
	for _, data := range all {
		disk := vfs.NewMem()
		f, err := disk.Create(path, category)
		must(t, err)
		_, err = f.Write(data)
		must(t, errors.Join(err, f.Close()))
		if m, err := Read(disk, path); !errors.Is(err, ErrDamaged) {
			t.Errorf("%x says %+v, %v", data, m, err)
		}
		n, err := Open(disk, path, Mark{1, 2, 3})
		must(t, err)
		must(t, n.Close())
		wantMark(t, disk, Mark{1, 2, 3})
	}
}

func FuzzRead(f *testing.F) {
	var whole [noteBytes]byte
	Mark{7, 4096, 9}.encode(&whole)
	f.Add(whole[:])
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decode(data)
		if err != nil {
			return
		}
		var again [noteBytes]byte
		if m.encode(&again); string(again[:]) != string(data) {
			t.Fatalf("%x and %x both say %+v", data, again, m)
		}
	})
}

func BenchmarkSet(b *testing.B) {
	n, err := Open(vfs.Default, b.TempDir()+"/"+path, Mark{})
	must(b, err)
	defer func(c io.Closer) { must(b, c.Close()) }(n)
	end := int64(0)
	for b.Loop() {
		end++
		must(b, n.Set(Mark{1, end, 0}))
	}
}
