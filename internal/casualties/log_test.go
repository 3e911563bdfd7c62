package casualties

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/raftlog"
	"github.com/miruvor/miruvor/internal/replica"
)

// NATS took a damaged record for the end of its log, and lost all behind it (Jepsen). Here a bit is
// flipped in each of the first records that were synced: the node does not start, and says where.
func TestJepsenBitFlip(t *testing.T) {
	prove(t, setting{}, func(st *stage) {
		h := st.host(3)
		for i := range 20 {
			st.host(1).put("a", strings.Repeat("x", i))
		}
		st.wait(time.Second)
		h.kill()
		names, err := h.fs.List(logDir)
		st.must(err)
		flips := 0
		for _, name := range names {
			data := readAll(st, h.fs, h.fs.PathJoin(logDir, name))
			for at := 64; at < min(len(data), 1200); at += 37 {
				if flip(st, h, name, data, at) {
					flips++
				}
			}
		}
		if flips < 20 {
			st.failf("only %d damages were in what is used", flips)
		}
		st.agree()
	})
}

// flip starts the log with one bit of a file changed, and puts it back. It reports whether
// the log noticed; if it did not, everything must be there.
func flip(st *stage, h *host, name string, data []byte, at int) bool {
	damaged := append([]byte(nil), data...)
	damaged[at] ^= 0x10
	fs := h.fs.CrashClone(vfs.CrashCloneCfg{})
	path := fs.PathJoin(logDir, name)
	writeAll(st, fs, path, damaged)
	log, err := raftlog.Open(raftlog.Options{
		FS: fs, Dir: logDir, SegmentBytes: 64 << 10, Salt: uint64(h.id),
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		text := err.Error()
		if !errors.Is(err, kv.ErrCorrupt) || !strings.Contains(text, name) ||
			!strings.Contains(text, "offset") {
			st.failf("a flip at %d of %s: %w", at, name, err)
		}
		return true
	}
	defer func() { st.must(log.Close()) }()
	last, err := log.Group(1).LastIndex()
	st.must(err)
	if want := st.host(1).replica(1).Applied().Index; last < want {
		st.failf("a flip at %d of %s is taken for a torn tail: %d is the last of %d", at, name,
			last, want)
	}
	return false
}

func readAll(st *stage, fs vfs.FS, path string) []byte {
	f, err := fs.Open(path)
	st.must(err)
	data, err := io.ReadAll(f)
	st.must(errors.Join(err, f.Close()))
	return data
}

func writeAll(st *stage, fs vfs.FS, path string, data []byte) {
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	st.must(err)
	_, err = f.Write(data)
	st.must(errors.Join(err, f.Sync(), f.Close()))
}

// The last records of a shard that is idle kept all segments of a shared log behind them, until the
// disk was full (dragonboat#288, #372). Here one shard writes once, and another thirty times what
// a segment holds.
func TestDragonboat288(t *testing.T) {
	prove(t, setting{bounds: keepFew, splitAt: []string{"m"}}, func(st *stage) {
		st.host(1).put("z", "1")
		for i := range 120 {
			st.host(1).put("a", strings.Repeat("x", 16<<10))
			if i%8 == 7 {
				st.wait(tick)
				for _, h := range st.hosts {
					h.flush()
				}
			}
		}
		for _, h := range st.hosts {
			if size := h.logBytes(); size > 16*(64<<10) {
				st.failf("the log of %v has %d bytes", h.id, size)
			}
		}
		for _, h := range st.hosts {
			h.crash()
			h.start()
		}
		st.until("all nodes to be level", 60*time.Second, st.healthy)
		st.host(2).expect("z", "1")
		st.agree()
	})
}

// logBytes is how much the log takes on disk.
func (h *host) logBytes() int64 {
	names, err := h.fs.List(logDir)
	h.st.must(err)
	var sum int64
	for _, name := range names {
		info, err := h.fs.Stat(h.fs.PathJoin(logDir, name))
		h.st.must(err)
		sum += info.Size()
	}
	return sum
}

// A log is truncated by what was applied, and what was applied is in memory
// (cockroach#76215 took both apart with care). Here it is truncated all the time, engines are
// flushed seldom, and nodes lose their power.
func TestCockroach76215(t *testing.T) {
	tight := func(b *replica.Bounds) { b.LogKeepEntries, b.LogKeepBytes = 0, 1 }
	prove(t, setting{bounds: tight, splitAt: []string{"m"}}, func(st *stage) {
		for n := range 12 {
			for i := range 8 {
				st.hosts[i%3].put(string("az"[i%2]), fmt.Sprint(n, i))
				for _, h := range st.hosts {
					st.must(h.worker.Truncate())
				}
			}
			h := st.hosts[n%3]
			if n%4 == 0 {
				h.flush()
			}
			h.crash()
			h.start()
			st.until("all nodes to be level", 30*time.Second, st.healthy)
		}
		st.agree()
	}, mutant.TruncateTooFar)
}
