package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/engine/pebble"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/raftlog"
)

const checkedDir = "/data/n1"

// checkedFS is a disk with the directory of a stopped one-node cluster of
// three shards, made once.
var checkedFS = sync.OnceValues(func() (*vfs.MemFS, error) {
	disk := vfs.NewCrashableMem()
	n, err := Start(Config{
		Name: "n1", Dir: checkedDir, Listen: "127.0.0.1:0", Cluster: Cluster{Shards: 3},
		lab: lab{fs: disk},
	})
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	if err := becomeReady(ctx, n); err != nil {
		return nil, err
	}
	for i := range 300 {
		key := fmt.Appendf([]byte{byte(i * 7)}, "%03d", i%40)
		_, err = kv.Put(ctx, n, kv.PutRequest{Key: key, Value: []byte(strings.Repeat("v", 100))})
		if err != nil {
			return nil, err
		}
	}
	if _, err = n.LeaseGrant(ctx, kv.LeaseGrantRequest{ID: 5, TTL: 1000}); err != nil {
		return nil, err
	}
	onLease := kv.PutRequest{Key: []byte("\xf0leased"), Lease: 5}
	if _, err = kv.Put(ctx, n, onLease); err != nil {
		return nil, err
	}
	_, err = kv.Delete(ctx, n, kv.DeleteRequest{Range: kv.PrefixRange([]byte{7})})
	return disk, errors.Join(err, n.Stop(ctx))
})

// clone is a disk of one's own.
func clone(t *testing.T) *vfs.MemFS {
	t.Helper()
	disk, err := checkedFS()
	if err != nil {
		t.Fatal(err)
	}
	return disk.CrashClone(vfs.CrashCloneCfg{
		UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1)),
	})
}

func TestCheckOfAHealthyDirectory(t *testing.T) {
	var done, total int64
	problems, err := check(clone(t), checkedDir, func(d, of int64) {
		if d < done || d > of {
			t.Errorf("progress goes from %d to %d of %d", done, d, of)
		}
		done, total = d, of
	})
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	if done != total || total == 0 {
		t.Errorf("progress ends at %d of %d", done, total)
	}
}

// firstVersion is the key of a version that the directory holds.
var firstVersion = keyspace.VersionKey(nil, []byte{0, '0', '0', '0'}, 2)

func descriptorOf(s kv.ShardID) []byte { return keyspace.MetaKey(nil, s, keyspace.KindDescriptor) }

func appliedOf(s kv.ShardID) []byte { return keyspace.MetaKey(nil, s, keyspace.KindApplied) }

// damages are things to do to a directory, and what a check must say of each.
var damages = []struct {
	name string
	do   func(d *damage)
	want string
}{
	{"no node.json", func(d *damage) {
		d.remove("node.json")
	}, "node.json at offset 0: the file is missing"},
	{"bad node.json", func(d *damage) { d.write("node.json", "{") }, "corrupt data"},
	{"other node.json", func(d *damage) {
		other := description{Format: 1, Cluster: 7, Name: "n1"}
		text, err := other.encode(true)
		d.must(err)
		d.write("node.json", string(text))
	}, "node identity: the engine belongs to node"},
	{"no log", func(d *damage) { d.removeAll("log") }, "the log is gone"},
	{"no engine", func(d *damage) { d.removeAll("engine") }, "engine: the directory is missing"},
	{"flip in table", func(d *damage) { d.flip("engine", ".sst") }, ".sst"},
	{"flip in log", func(d *damage) { d.flip("log", ".log") }, ".log at offset"},
	{"no table", func(d *damage) {
		d.removeFiles("engine", ".sst")
	}, ".sst at offset 0: the file is missing"},
	{"no manifest", func(d *damage) {
		d.removeFiles("engine", "MANIFEST")
	}, "marker.manifest at offset 0: the file is missing"},
	{"unknown version", func(d *damage) { d.set(firstVersion, []byte{9}) }, "unknown flags"},
	{"no identity", func(d *damage) {
		d.del(keyspace.NodeKey(keyspace.KindIdentity))
	}, "node identity: there is none, but the log holds shards"},
	{"no version", func(d *damage) { d.del(firstVersion) }, "there is no such version"},
	{"no history", func(d *damage) {
		d.del(keyspace.HistoryKey(nil, 1, 2, 0))
	}, "a version that the history does not have"},
	{"newer history", func(d *damage) {
		d.set(keyspace.HistoryKey(nil, 1, 1<<40, 0), []byte{0, 1})
	}, "is applied"},
	{"history of no shard", func(d *damage) {
		d.set(keyspace.HistoryKey(nil, 9, 2, 0), []byte("k"))
	}, "the history of shard s9"},
	{"unmarked lease", func(d *damage) {
		d.del(keyspace.LeaseMetaKey(nil, 3, 5))
	}, `leased" hangs on lease 5, which the shard was not told of`},
	{"bad mark", func(d *damage) { d.set(keyspace.LeaseMetaKey(nil, 3, 5), []byte{7}) }, "flags"},
	{"bad lease", func(d *damage) {
		d.set(keyspace.LeaseMetaKey(nil, kv.SystemShard, 5), []byte{0})
	}, "bad lease"},
	{"not indexed", func(d *damage) {
		d.del(keyspace.LeaseIndexKey(nil, 3, 5, []byte("\xf0leased")))
	}, "the index lacks it"},
	{"bad transaction", func(d *damage) {
		d.set(keyspace.MetaKey(nil, 2, keyspace.KindPrepare, 1, 2, 3), nil)
	}, "a transaction's id of 3 bytes"},
	{"unknown space", func(d *damage) { d.set([]byte{9, 9}, nil) }, "belongs to no shard"},
	{"no descriptor", func(d *damage) {
		d.del(descriptorOf(2))
	}, "shard s2: it has metadata, but no desc"},
	{"keys of no shard", func(d *damage) { d.del(descriptorOf(3)) }, "lies in no shard"},
	{"no applied state", func(d *damage) { d.del(appliedOf(2)) }, "shard s2: it has no applied"},
	{"overlap", func(d *damage) {
		d.describe(2, func(s *placement.Descriptor) { s.Start, s.RangeEpoch = []byte{1}, 7 })
	}, "overlaps"},
	{"range unlike the map", func(d *damage) {
		d.describe(2, func(s *placement.Descriptor) { s.Start = []byte{0x60} })
	}, "by the shard map"},
	{"replica elsewhere", func(d *damage) {
		d.describe(1, func(s *placement.Descriptor) { s.Replicas[0].Node = 5 })
	}, "orphaned: its descriptor names no replica on n1"},
	{"replica of another directory", func(d *damage) {
		d.describe(1, func(s *placement.Descriptor) { s.Replicas[0].Incarnation = 5 })
	}, "belongs to the directory"},
	{"placed elsewhere", func(d *damage) {
		d.describe(1, func(s *placement.Descriptor) { s.Nodes = []kv.NodeID{2} })
	}, "orphaned: it is placed on"},
	{"descriptor of another", func(d *damage) {
		d.describe(1, func(s *placement.Descriptor) { s.Shard = 2 })
	}, "shard s1: its descriptor is that of shard s2"},
	{"not in the map", func(d *damage) {
		d.set(keyspace.MapKey(nil, 2), d.get(keyspace.MapKey(nil, 3)))
	}, "shard map"},
	{"no map", func(d *damage) {
		for s := range kv.ShardID(4) {
			d.del(keyspace.MapKey(nil, s))
		}
	}, "the system shard is here, but not its map"},
	{"map with a shard that is not here", func(d *damage) {
		d.del(descriptorOf(2))
		d.del(appliedOf(2))
	}, "it places shard s2 here, but there is nothing of it"},
	{"engine behind the log", func(d *damage) {
		d.apply(1, func(a *keyspace.Applied) { a.Index = 0 })
	}, "the log begins at index 2"},
	{"other term", func(d *damage) {
		// That the last entry is committed may be known to the engine alone.
		d.apply(1, func(a *keyspace.Applied) { a.Index, a.Term = a.Index-2, a.Term+5 })
	}, "in the log, but was applied with term"},
}

// TestCheckFindsDamage makes one thing wrong at a time.
func TestCheckFindsDamage(t *testing.T) {
	for _, test := range damages {
		t.Run(test.name, func(t *testing.T) {
			d := &damage{t: t, disk: clone(t)}
			test.do(d)
			d.commit()
			problems, err := check(d.disk, checkedDir, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range problems {
				if strings.Contains(p.String(), test.want) {
					return
				}
			}
			t.Errorf("nothing about %q in %v", test.want, problems)
		})
	}
}

// TestCheckOfANodeThatNeverBegan has a directory that a crash left before the
// engine was made.
func TestCheckOfANodeThatNeverBegan(t *testing.T) {
	d := &damage{t: t, disk: clone(t)}
	d.removeAll("engine")
	d.removeAll("log")
	l, err := raftlog.Open(raftlog.Options{FS: d.disk, Dir: d.path("log")})
	d.must(err)
	d.must(l.Close())
	problems, err := check(d.disk, checkedDir, nil)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

func TestCheckRefuses(t *testing.T) {
	disk := clone(t)
	lock, err := disk.Lock(checkedDir + "/LOCK")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := check(disk, checkedDir, nil); !strings.Contains(fmt.Sprint(err), "in use") {
		t.Errorf("in use: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	d := &damage{t: t, disk: disk}
	d.write("node.json", `{"format":99}`)
	if _, err := check(disk, checkedDir, nil); !strings.Contains(fmt.Sprint(err), "newer version") {
		t.Errorf("newer: %v", err)
	}
	for _, dir := range []string{"/data", "/nowhere"} {
		if _, err := check(disk, dir, nil); !errors.Is(err, kv.ErrInvalid) {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

// damage is done to a directory on a disk; what is done to the engine's keys
// with commit.
type damage struct {
	t      *testing.T
	disk   *vfs.MemFS
	engine engine.Engine
	batch  engine.Batch
}

func (d *damage) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *damage) path(name string) string { return d.disk.PathJoin(checkedDir, name) }

func (d *damage) remove(name string)    { d.must(d.disk.Remove(d.path(name))) }
func (d *damage) removeAll(name string) { d.must(d.disk.RemoveAll(d.path(name))) }

func (d *damage) removeFiles(dir, part string) {
	for _, name := range d.find(dir, part) {
		d.remove(name)
	}
}

// find are the files in dir whose names hold part. Some may be forgotten
// already.
func (d *damage) find(dir, part string) []string {
	d.t.Helper()
	names, err := d.disk.List(d.path(dir))
	d.must(err)
	var found []string
	for _, name := range names {
		if strings.Contains(name, part) {
			found = append(found, dir+"/"+name)
		}
	}
	if len(found) == 0 {
		d.t.Fatalf("no %s among %v", part, names)
	}
	return found
}

func (d *damage) write(name, text string) {
	f, err := d.disk.Create(d.path(name), vfs.WriteCategoryUnspecified)
	d.must(err)
	_, err = f.Write([]byte(text))
	d.must(errors.Join(err, f.Close()))
}

// flip changes a byte that is not zero in the first part of files.
func (d *damage) flip(dir, part string) {
	for _, name := range d.find(dir, part) {
		f, err := d.disk.Open(d.path(name))
		d.must(err)
		data, err := io.ReadAll(f)
		d.must(errors.Join(err, f.Close()))
		at := min(len(data)/3, 4096+600)
		for data[at] == 0 {
			at--
		}
		data[at] ^= 0x10
		d.write(name, string(data))
	}
}

func (d *damage) open() {
	if d.engine == nil {
		e, err := pebble.Open(d.path("engine"), pebble.Options{FS: d.disk})
		d.must(err)
		d.engine, d.batch = e, e.NewBatch()
	}
}

func (d *damage) set(key, value []byte) {
	d.open()
	d.must(d.batch.Set(key, value))
}

func (d *damage) del(key []byte) {
	d.open()
	d.must(d.batch.Delete(key))
}

func (d *damage) get(key []byte) []byte {
	d.open()
	value, err := d.engine.Get(key)
	d.must(err)
	return value
}

func (d *damage) describe(s kv.ShardID, change func(*placement.Descriptor)) {
	key := keyspace.MetaKey(nil, s, keyspace.KindDescriptor)
	desc, err := placement.DecodeDescriptor(d.get(key))
	d.must(err)
	change(&desc)
	d.set(key, desc.Encode())
}

func (d *damage) apply(s kv.ShardID, change func(*keyspace.Applied)) {
	key := keyspace.MetaKey(nil, s, keyspace.KindApplied)
	a, err := keyspace.ParseApplied(d.get(key))
	d.must(err)
	change(&a)
	d.set(key, keyspace.AppendApplied(nil, a))
}

func (d *damage) commit() {
	if d.engine != nil {
		d.must(errors.Join(d.batch.Commit(), d.engine.Close()))
	}
}
