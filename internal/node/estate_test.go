package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/replica"
)

const estateDir = "/data/n1"

// estate is what a node left on its disk, and what it had acknowledged until then.
type estate struct {
	name   string
	shards int
	// files are those of the data directory, by their path in it.
	files map[string][]byte
	// older are the files at earlier times, and foreign those of a node that went
	// through the same with other values.
	older   []map[string][]byte
	foreign map[string][]byte
	want    map[string]string
	last    kv.Revision
}

func estateConfig(fs vfs.FS, shards int) Config {
	bounds := replica.DefaultBounds()
	bounds.LogKeepEntries, bounds.LogKeepBytes = 10, 1<<10
	return Config{
		Name: "n1", Dir: estateDir, Listen: "127.0.0.1:0", Cluster: Cluster{Shards: shards},
		lab: lab{fs: fs, bounds: bounds, memtableBytes: 64 << 10, segmentBytes: 64 << 10},
	}
}

// newEstates are what nodes leave that were killed, and such that were stopped, with one
// shard and with several.
func newEstates(t *testing.T) []*estate {
	t.Helper()
	var list []*estate
	counts := []int{3, 1}
	if testing.Short() {
		counts = counts[:1]
	}
	for _, shards := range counts {
		killed, stopped := leave(t, shards, 9)
		strange, strangeStopped := leave(t, shards, 10)
		killed.foreign, stopped.foreign = strange.files, strangeStopped.files
		list = append(list, killed, stopped)
	}
	return list
}

// leave runs a node until it has several tables on several levels, segments in use and
// spare ones. The seed decides on values, not on their lengths.
func leave(t *testing.T, shards int, seed uint64) (killed, stopped *estate) {
	t.Helper()
	disk := vfs.NewCrashableMem()
	n, err := Start(estateConfig(disk, shards))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if err := becomeReady(ctx, n); err != nil {
		t.Fatal(err)
	}
	e := estate{shards: shards, want: map[string]string{}}
	rng := rand.New(rand.NewPCG(9, 9))
	text := rand.New(rand.NewPCG(seed, seed))
	for i := range 900 {
		key := string([]byte{byte(rng.IntN(256)), byte(rng.IntN(3))})
		value := fmt.Sprint(i, " ", randomText(text, rng.IntN(1500)))
		resp, err := kv.Put(ctx, n, kv.PutRequest{Key: []byte(key), Value: []byte(value)})
		if err == nil && i == 600 {
			err = n.engine.Flush()
		}
		if err != nil {
			t.Fatal(err)
		}
		e.want[key], e.last = value, resp.Revision
		if i%200 == 150 {
			e.older = append(e.older, readFiles(t, kill(disk)))
		}
	}
	killed, stopped = new(estate), new(estate)
	*killed, *stopped = e, e
	killed.name, killed.files = "killed", readFiles(t, kill(disk))
	if err := n.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	stopped.name, stopped.files = "stopped", readFiles(t, disk)
	return killed, stopped
}

// kill is the disk of a process that is killed now.
func kill(disk *vfs.MemFS) *vfs.MemFS {
	return disk.CrashClone(vfs.CrashCloneCfg{
		UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1)),
	})
}

func randomText(rng *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(rng.IntN(26))
	}
	return string(b)
}

// readFiles are the files of a data directory, by their path in it.
func readFiles(t *testing.T, fs vfs.FS) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, dir := range []string{"", dirLog, dirEngine} {
		names, err := fs.List(fs.PathJoin(estateDir, dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			path := fs.PathJoin(estateDir, dir, name)
			if info, err := fs.Stat(path); err != nil || info.IsDir() {
				continue
			}
			f, err := fs.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(f)
			if err = errors.Join(err, f.Close()); err != nil {
				t.Fatal(err)
			}
			files[fs.PathJoin(dir, name)] = data
		}
	}
	return files
}

// diskWith is a disk with these files in the data directory.
func diskWith(t *testing.T, files map[string][]byte) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewMem()
	for _, dir := range []string{"", dirLog, dirEngine} {
		if err := fs.MkdirAll(fs.PathJoin(estateDir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, data := range files {
		f, err := fs.Create(fs.PathJoin(estateDir, name), vfs.WriteCategoryUnspecified)
		if err == nil {
			_, err = f.Write(bytes.Clone(data))
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return fs
}

// kindOf is the kind of a file: what remains of its name without its number.
func kindOf(name string) string {
	kind := strings.TrimLeft(name[strings.LastIndex(name, "/")+1:], "0123456789")
	for _, prefix := range []string{"marker.manifest", "marker.format", "MANIFEST", "OPTIONS"} {
		if strings.HasPrefix(kind, prefix) {
			kind = prefix
		}
	}
	dir, _, _ := strings.Cut(name, "/")
	return dir + " " + kind
}

// revive starts a node on what is left and reads everything. refused is why that
// did not work, wrong what was read that is not what was acknowledged.
func (e *estate) revive(ctx context.Context, disk vfs.FS) (refused, wrong error) {
	n, err := Start(estateConfig(disk, e.shards))
	if err != nil {
		return err, nil
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = n.Stop(ctx)
	}()
	if err := becomeReady(ctx, n); err != nil {
		return err, nil
	}
	resp, err := n.Range(ctx, kv.RangeRequest{Range: kv.PrefixRange(nil)})
	if err != nil {
		return err, nil
	}
	return nil, e.compare(&resp)
}

func (e *estate) compare(resp *kv.RangeResponse) error {
	got := map[string]string{}
	for _, pair := range resp.KVs {
		got[string(pair.Key)] = string(pair.Value)
	}
	for key, value := range e.want {
		if got[key] != value {
			return fmt.Errorf("key %x is %.10q, want %.10q", key, got[key], value)
		}
	}
	if len(got) != len(e.want) || resp.Revision < e.last {
		return fmt.Errorf("%d keys at revision %d, want %d at %d", len(got), resp.Revision,
			len(e.want), e.last)
	}
	return nil
}
