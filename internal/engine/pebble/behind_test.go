package pebble

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// stuckFS makes no tables until it is let go.
type stuckFS struct {
	vfs.FS
	letGo chan struct{}
	once  sync.Once
}

func (f *stuckFS) release() { f.once.Do(func() { close(f.letGo) }) }

func (f *stuckFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasSuffix(name, ".sst") {
		<-f.letGo
	}
	return f.FS.Create(name, c)
}

// TestBehind: an engine that does not get to its flushes says so before writes have to
// wait, and no more once it has.
func TestBehind(t *testing.T) {
	fs := &stuckFS{FS: vfs.NewMem(), letGo: make(chan struct{})}
	e := mustOpen(t, Options{FS: fs, MemtableBytes: 256 << 10})
	defer func() { noError(t, e.Close()) }()
	defer fs.release()
	if e.IsBehind() {
		t.Error("a new engine is behind")
	}
	const batch = 32 << 10
	written := 0
	for ; !e.IsBehind(); written += batch {
		if written > memtablesMax*256<<10 {
			t.Fatal("it is never behind")
		}
		fill(t, e, 1, 32, bytes.Repeat([]byte{'v'}, batch/32))
	}
	if written < 256<<10 {
		t.Errorf("it is behind with %d bytes", written)
	}
	if n := e.Metrics()["write_stalls_total"]; n > 0 {
		t.Errorf("writes had waited %g times by then", n)
	}
	fs.release()
	for deadline := time.Now().Add(10 * time.Second); e.IsBehind(); {
		if time.Now().After(deadline) {
			t.Fatal("it stays behind")
		}
		noError(t, e.Flush())
	}
}
