package casualties

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/raftlog"
)

// A power loss between destroying what a snapshot replaces and applying it, or between the data of
// a replica and its hard state, left a replica that was neither (tikv#7027, cockroach#20629). Here it
// comes at every step of installing a snapshot.
func TestTiKV7027(t *testing.T) {
	prove(t, setting{bounds: keepFew, splitAt: []string{"m"}}, func(st *stage) {
		h := st.host(3)
		for n := 1; n < 16; n++ {
			st.leaveBehind(h, 8)
			st.grounded = true
			st.join()
			st.until("a snapshot to be sent", 10*time.Second, func() bool {
				return len(st.flights) > 0
			})
			h.fuse = n
			st.grounded = false
			st.wait(500 * time.Millisecond)
			h.crash()
			h.start()
			st.until("all nodes to be level", 30*time.Second, st.healthy)
		}
		st.agree()
	})
}

// A replica was made by whatever message came for it, before it had anything, and stood in the way
// of the real one, or voted (cockroach#7600, #40213, and others until 2025). Here a node that lost its
// directory hears all that its earlier replicas would have, and has none until a snapshot comes.
func TestCockroach7600(t *testing.T) {
	prove(t, setting{bounds: keepFew, splitAt: []string{"m"}}, func(st *stage) {
		h := st.host(3)
		st.host(1).put("a", "1")
		st.host(1).put("z", "1")
		var stray []letter
		st.keep = func(l *letter) bool { return l.to == h.id && l.message.Raft != nil }
		st.host(1).put("a", "2")
		st.host(2).put("z", "2")
		st.wait(2 * time.Second) // they stand for election, too
		stray, st.letters, st.keep = st.letters, nil, nil
		st.grounded = true
		h.wipe()
		h.start()
		st.until("it to be a replacement", 10*time.Second, func() bool { return h.worker != nil })
		st.letters = append(st.letters, stray...)
		st.wait(5 * time.Second)
		for _, s := range st.allShards() {
			if h.replica(s.ID) != nil || len(h.pairs(s)) > 0 {
				st.failf("%v has a replica of %v, and no snapshot has come", h.id, s.ID)
			}
		}
		if len(st.flights) == 0 {
			st.failf("no snapshot is on its way")
		}
		st.agree()
	}, mutant.RejoinAsVoter)
}

// A voter that lost its log and came back under its name helped to elect a leader without what it
// had acknowledged. Here it is one of the two that have a write, and what the other says in their
// group is lost.
func TestRaftLostVoter(t *testing.T) {
	prove(t, setting{}, func(st *stage) {
		l := st.leader(1)
		forgets, never := st.others(l)[0], st.others(l)[1]
		st.isolate(never)
		st.wait(time.Second)
		l.put("a", "1")
		forgets.wipe()
		clear(st.cut)
		st.lose = func(x *letter) bool {
			return x.message.Raft != nil && (x.from == l.id || x.to == l.id)
		}
		forgets.start()
		st.wait(10 * time.Second)
		for _, h := range []*host{forgets, never} {
			if h.worker != nil {
				h.ask(gets("a"))
			}
		}
		st.wait(6 * time.Second)
		st.join()
		st.until("all nodes to be level", 60*time.Second, st.healthy)
		st.hosts[0].expect("a", "1")
		st.agree()
	}, mutant.RejoinAsVoter)
}

// A change of members that raft refused went through the log as an empty entry, and its proposer
// waited for ever (raft#80). Here a leader's proposals get lost with it while it replaces a directory,
// at one step after the other; who leads next must find out what is left to do.
func TestRaft80(t *testing.T) {
	prove(t, setting{splitAt: []string{"m"}}, func(st *stage) {
		h := st.host(3)
		for n := range 6 {
			st.host(1).put("a", fmt.Sprint(n))
			h.wipe()
			h.start()
			st.wait(time.Duration(n) * 400 * time.Millisecond)
			l := st.leader(kv.SystemShard)
			st.lose = func(x *letter) bool {
				r := x.message.Raft
				return r != nil && x.from == l.id && r.Msg.GetType() == raftpb.MsgApp
			}
			l.slow = true
			st.wait(3 * time.Second)
			l.crash()
			st.lose = nil
			st.wait(time.Second)
			l.start()
			st.until("all nodes to be level", 60*time.Second, st.healthy)
		}
		st.agree()
	})
}

// What took the place of a lost replica meets the lost one (cockroach#21146). Here a directory comes
// back after another one was taken in for the node: its process has to stop, and votes no more.
func TestCockroach21146(t *testing.T) {
	prove(t, setting{}, func(st *stage) {
		h := st.host(3)
		st.host(1).put("a", "1")
		h.flush()
		h.kill()
		fs, engine, directory := h.fs, h.engine, h.directory
		h.wipe()
		h.start()
		st.until("all nodes to be level", 60*time.Second, st.healthy)
		newFS, newEngine, newDirectory := h.fs, h.engine, h.directory
		h.kill()
		newFS = h.fs
		st.host(1).put("a", "2")
		h.fs, h.engine, h.directory = fs, engine, directory
		h.start()
		for range 40 {
			if h.worker != nil {
				for _, s := range st.allShards() {
					h.replica(s.ID).Campaign()
				}
			}
			st.wait(tick)
		}
		if h.member != nil {
			st.failf("the old directory's process still runs")
		}
		h.fs, h.engine, h.directory = newFS, newEngine, newDirectory
		st.agree()
	}, mutant.RejoinAsVoter)
}

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
		st.failf("a flip at %d of %s is taken for a torn tail: %d is the last of %d", at, name, last,
			want)
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

// Leadership went to a replica that waited for a snapshot, and nobody led for minutes
// (cockroach#68539, #81561, #82758). Here a node that is far behind is asked to take over.
func TestCockroach68539(t *testing.T) {
	prove(t, setting{bounds: keepFew}, func(st *stage) {
		h := st.host(3)
		st.leaveBehind(h, 20)
		st.grounded = true
		st.join()
		st.until("a snapshot to be sent", 10*time.Second, func() bool { return len(st.flights) > 0 })
		l := st.leader(1)
		for i := range 40 {
			l.giveTo(h)
			before := st.now
			l.put("a", fmt.Sprint(i))
			if took := st.now - before; time.Duration(took) > 200*time.Millisecond {
				st.failf("a write took %v", time.Duration(took))
			}
			st.wait(tick)
		}
		if st.leader(1) != l {
			st.failf("%v leads", st.leader(1).id)
		}
		st.agree()
	})
}

// A log was truncated while a snapshot was on its way, by a leader that did not know of it, and the
// follower needed the next snapshot, and so on (cockroach#81978). Here load goes on, logs are truncated
// as early as may be, and the leadership changes while a snapshot is in the air.
func TestCockroach81978(t *testing.T) {
	prove(t, setting{bounds: keepFew}, func(st *stage) {
		h := st.host(3)
		st.leaveBehind(h, 20)
		st.grounded = true
		st.join()
		st.until("a snapshot to be sent", 10*time.Second, func() bool { return len(st.flights) > 0 })
		l := st.leader(1)
		st.prefer(l, st.others(h, l)[0])
		sent := 0
		level := func() bool { return h.replica(1).Applied() == st.leader(1).replica(1).Applied() }
		for i := 0; !level() || i < 20; i++ {
			for j := range 4 {
				st.others(h)[0].ask(puts("k", fmt.Sprint(i, j)))
			}
			st.wait(tick)
			for _, o := range st.others(h) {
				o.flush()
			}
			h.slow = i%4 == 3 || i%4 == 0
			if i%4 == 3 { // a snapshot takes 200 ms, and its installation 100
				for _, f := range slices.Clone(st.flights) {
					sent++
					st.land(f)
				}
			}
			if i > 200 || sent > 6 {
				st.failf("after %d snapshots it is not level", sent)
			}
		}
		st.agree()
	})
}
