package node

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
)

// In testdata/upgrade are directories of nodes of commit 09306c7 that were killed. The
// engine had a log of its own then (docs/decisions/0013), nothing had a checksum of its
// description, and one shard asked an oracle for revisions (0014). Both nodes, n1 with
// one shard and with three split at h and p, were given the same, over HTTP: `ready` put,
// key0 to key4 in turn put twelve times, `zebra` put, key3 deleted at revision 16,
// `mortal` put on a lease, compacted at 5, and key1 put at revision 18.
const (
	upgradeLast = kv.Revision(18)
	upgradeHeld = "key0=value10@12 key1=last@18 key2=value12@14 key4=value9@11 mortal=yes@17 " +
		"ready=yes@2 zebra=stripes@15"
	upgradeHeldAt15 = "key0=value10@12 key1=value11@13 key2=value12@14 key3=value8@10 " +
		"key4=value9@11 ready=yes@2 zebra=stripes@15"
)

func TestOpensOldDirectories(t *testing.T) {
	for name, cl := range map[string]Cluster{
		"one": {}, "three": {Shards: 3, SplitAt: [][]byte{[]byte("h"), []byte("p")}},
	} {
		t.Run(name, func(t *testing.T) {
			c := planCluster(t, 1, cl, Config{Durability: DurabilityOS})
			extract(t, filepath.Join("testdata", "upgrade", name+".tar.gz"), c.configs[0].Dir)
			held, next := upgradeHeld, upgradeLast+1
			for i := range 2 {
				c.start(0)
				c.awaitReady(0)
				c.wantHeld(0, held)
				c.wantHeld(15, upgradeHeldAt15)
				_, err := c.nodes[0].Range(t.Context(), kv.RangeRequest{Revision: 4})
				if !errors.Is(err, kv.ErrCompacted) {
					t.Errorf("below the compaction: %v", err)
				}
				got := c.put(0, fmt.Sprint("zz", i), "new")
				// One shard leaves no gaps from now on.
				if got < next || name == "one" && got > next {
					t.Errorf("the next revision is %v, want %v", got, next)
				}
				held, next = fmt.Sprintf("%s zz%d=new@%d", held, i, got), got+1
				c.checkStopped()
			}
		})
	}
}

// wantHeld wants all pairs at a revision, 0 for now.
func (c *testCluster) wantHeld(at kv.Revision, want string) {
	c.t.Helper()
	resp, err := c.nodes[0].Range(c.t.Context(), kv.RangeRequest{Revision: at})
	if err != nil {
		c.t.Fatal(err)
	}
	var got []string
	for _, pair := range resp.KVs {
		got = append(got, fmt.Sprintf("%s=%s@%d", pair.Key, pair.Value, pair.ModRevision))
		if (pair.Lease != 0) != (string(pair.Key) == "mortal") {
			c.t.Errorf("%s hangs on lease %d", pair.Key, pair.Lease)
		}
	}
	if got := strings.Join(got, " "); got != want {
		c.t.Errorf("at %d it holds\n%s, want\n%s", at, got, want)
	}
}

// extract unpacks a directory.
func extract(t *testing.T, archive, dir string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := tar.NewReader(unzipped)
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil && header.Typeflag == tar.TypeReg {
			var data []byte
			data, err = io.ReadAll(files)
			path := filepath.Join(dir, header.Name)
			err = errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o755),
				os.WriteFile(path, data, 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
