package faultfs

import (
	"encoding/json"
	"errors"
	"io"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func create(t *testing.T, fs vfs.FS, name, content string) vfs.File {
	t.Helper()
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = f.Write([]byte(content))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func readAll(t *testing.T, fs vfs.FS, name string) string {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestFaultStrikesWhatItAimsAt(t *testing.T) {
	f := New(vfs.NewMem(), 1)
	log, other := create(t, f, "a.log", ""), create(t, f, "b.sst", "")
	h := f.Inject(Fault{Ops: Sync, Files: ".log", Errno: syscall.EIO})
	if err := other.Sync(); err != nil {
		t.Errorf("sync of another file: %v", err)
	}
	for _, sync := range []func() error{log.Sync, log.SyncData, syncTo(log)} {
		if err := sync(); !errors.Is(err, syscall.EIO) {
			t.Errorf("sync of the file: %v, want EIO", err)
		}
	}
	if _, err := log.Write([]byte("x")); err != nil {
		t.Errorf("write: %v", err)
	}
	if h.Hits() != 3 {
		t.Errorf("%d hits, want 3", h.Hits())
	}
	f.Lift(h)
	f.Lift(h)
	if err := log.Sync(); err != nil {
		t.Errorf("lifted: %v", err)
	}
}

func syncTo(f vfs.File) func() error {
	return func() error {
		_, err := f.SyncTo(1)
		return err
	}
}

func TestFailedOperationIsNotDone(t *testing.T) {
	f := New(vfs.NewMem(), 1)
	file := create(t, f, "a", "old")
	f.Inject(Fault{Ops: All, Errno: syscall.ENOSPC})
	for name, do := range map[string]func() error{
		"write":  func() error { _, err := file.Write([]byte("new")); return err },
		"rename": func() error { return f.Rename("a", "b") },
		"remove": func() error { return f.Remove("a") },
		"all":    func() error { return f.RemoveAll("a") },
		"link":   func() error { return f.Link("a", "c") },
		"reuse":  func() error { _, err := f.ReuseForWrite("a", "b", "x"); return err },
		"create": func() error { _, err := f.Create("a", "x"); return err },
		"open":   func() error { _, err := f.Open("a"); return err },
		"both":   func() error { _, err := f.OpenReadWrite("a", "x"); return err },
		"dir":    func() error { _, err := f.OpenDir(""); return err },
		"mkdir":  func() error { return f.MkdirAll("d", 0o755) },
		"list":   func() error { _, err := f.List(""); return err },
		"read":   func() error { _, err := file.ReadAt(make([]byte, 1), 0); return err },
		"alloc":  func() error { return file.Preallocate(0, 1) },
	} {
		if err := do(); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: %v, want ENOSPC", name, err)
		}
	}
	f.LiftAll()
	if got := readAll(t, f, "a"); got != "old" {
		t.Errorf("the file is %q", got)
	}
	if names, err := f.List(""); err != nil || len(names) != 1 {
		t.Errorf("files %q %v, want a alone", names, err)
	}
}

func TestFullDiskTakesWhatHasRoom(t *testing.T) {
	f := New(vfs.NewMem(), 1)
	create(t, f, "a", "12345678")
	f.Inject(Fault{Ops: Space &^ Create, Errno: syscall.ENOSPC})
	file, err := f.OpenReadWrite("a", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteAt([]byte("x"), 7); err != nil {
		t.Errorf("write in place: %v", err)
	}
	if _, err := file.WriteAt([]byte("xy"), 7); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("write beyond the end: %v, want ENOSPC", err)
	}
	if got := readAll(t, f, "a"); got != "1234567x" {
		t.Errorf("the file is %q", got)
	}
}

func TestFlip(t *testing.T) {
	f := New(vfs.NewMem(), 1)
	create(t, f, "a", "aaaa")
	h := f.Inject(Fault{Ops: Read, From: 2, To: 3, Flip: 'a' ^ 'b'})
	if got := readAll(t, f, "a"); got != "aaba" {
		t.Errorf("read %q, want aaba", got)
	}
	file, err := f.Open("a")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for offset, want := range []string{"aa", "ab", "ba"} {
		got := make([]byte, 2)
		if _, err := file.ReadAt(got, int64(offset)); err != nil || string(got) != want {
			t.Errorf("at %d: %q %v, want %q", offset, got, err, want)
		}
	}
	f.Lift(h)
	if got := readAll(t, f, "a"); got != "aaaa" {
		t.Errorf("lifted, read %q: the file itself must not change", got)
	}
	written := create(t, f, "b", "")
	f.Inject(Fault{Ops: Write, Times: 1, Flip: 'a' ^ 'b'})
	ours := []byte("a")
	if _, err := written.Write(ours); err != nil || string(ours) != "a" {
		t.Errorf("the writer's bytes are %q now, %v", ours, err)
	}
	if _, err := written.Write([]byte("a")); err != nil {
		t.Error(err)
	}
	if got := readAll(t, f, "b"); got != "ba" {
		t.Errorf("flipped once while written: %q, want ba", got)
	}
}

func TestTimesAndPercent(t *testing.T) {
	f := New(vfs.NewMem(), 7)
	file := create(t, f, "a", "")
	failed := func() (count int) {
		for range 1000 {
			if file.Sync() != nil {
				count++
			}
		}
		return count
	}
	h := f.Inject(Fault{Ops: Sync, Times: 3, Errno: syscall.EIO})
	if got := failed(); got != 3 || h.Hits() != 3 {
		t.Errorf("%d failed, %d hits, want 3", got, h.Hits())
	}
	f.LiftAll()
	f.Inject(Fault{Ops: Sync, Percent: 20, Errno: syscall.EIO})
	if got := failed(); got < 150 || got > 250 {
		t.Errorf("%d of 1000 failed, want about 200", got)
	}
}

func TestDelayEndsWhenLifted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := New(vfs.NewMem(), 1)
		file := create(t, f, "a", "")
		h := f.Inject(Fault{Ops: Sync, Delay: time.Minute})
		began := time.Now()
		if err := file.Sync(); err != nil || time.Since(began) != time.Minute {
			t.Errorf("sync took %v, %v", time.Since(began), err)
		}
		time.AfterFunc(time.Second, func() { f.Lift(h) })
		began = time.Now()
		if err := file.Sync(); err != nil || time.Since(began) != time.Second {
			t.Errorf("sync took %v until the fault was lifted, %v", time.Since(began), err)
		}
	})
}

func TestFaultIsPlainData(t *testing.T) {
	want := Fault{
		Ops: Sync | Write, Files: "/log/", From: 1, To: 2, Percent: 3, Times: 4,
		Delay: 5, Errno: syscall.ENOSPC, Flip: 7,
	}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Fault
	if err := json.Unmarshal(text, &got); err != nil || got != want {
		t.Errorf("%s came back as %+v, %v", text, got, err)
	}
}
