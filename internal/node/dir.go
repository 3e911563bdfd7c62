package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/member"
)

const (
	fileDescription = "node.json"
	fileLock        = "LOCK"
	dirEngine       = "engine"
	dirLog          = "log"
)

// description is what node.json says: enough to refuse a directory before any
// of it is touched.
type description struct {
	Format  int          `json:"format"`
	Cluster kv.ClusterID `json:"cluster,string"`
	Name    string       `json:"name"`
	Shape   string       `json:"shape"`
}

// directory is a data directory in use. The one of DurabilityMemory has no
// path and no lock.
type directory struct {
	path string
	fs   vfs.FS
	lock io.Closer
	desc description
}

// openDirectory locks the directory and makes sure that it is this node's, or
// makes it so. It changes nothing in one that is refused.
func openDirectory(c Config) (*directory, error) {
	fresh := description{
		Format: member.Format, Cluster: c.Cluster.id(), Name: c.Name, Shape: c.Cluster.shape(),
	}
	if c.Durability == DurabilityMemory {
		return &directory{path: "memory", fs: vfs.NewMem(), desc: fresh}, nil
	}
	found, err := readDescription(c.Dir)
	if err != nil {
		return nil, err
	}
	if found != nil {
		if err := found.matches(c); err != nil {
			return nil, err
		}
	} else if err := refuseForeign(c.Dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, kv.Invalid("data: %v", err)
	}
	lock, err := vfs.Default.Lock(filepath.Join(c.Dir, fileLock))
	if err != nil {
		return nil, kv.Invalid("data: %s is in use by another process (%v)", c.Dir, err)
	}
	d := &directory{path: c.Dir, fs: vfs.Default, lock: lock, desc: fresh}
	if found != nil {
		d.desc = *found
		return d, nil
	}
	if err := d.describe(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// readDescription is nil for a directory that has none.
func readDescription(dir string) (*description, error) {
	data, err := os.ReadFile(filepath.Join(dir, fileDescription))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, kv.Invalid("data: %v", err)
	}
	var d description
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, fmt.Errorf("%w: %s: %v", kv.ErrCorrupt,
			filepath.Join(dir, fileDescription), err)
	}
	return &d, nil
}

func (d *description) matches(c Config) error {
	switch shape := c.Cluster.shape(); {
	case d.Format > member.Format:
		return kv.Invalid("data: %s has format %d, this version understands up to %d; "+
			"it was written by a newer version", c.Dir, d.Format, member.Format)
	case d.Name != c.Name:
		return kv.Invalid("data: %s belongs to the node %q, not to %q", c.Dir, d.Name, c.Name)
	case d.Shape != shape:
		return kv.Invalid("data: %s belongs to another cluster: it was founded with %s, "+
			"the options say %s", c.Dir, d.Shape, shape)
	}
	return nil
}

// refuseForeign keeps a node out of a directory that holds something else.
func refuseForeign(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return kv.Invalid("data: %v", err)
	}
	for _, e := range entries {
		if e.Name() != fileLock {
			return kv.Invalid("data: %s holds %q but no %s; "+
				"it is not a data directory, and not empty", dir, e.Name(), fileDescription)
		}
	}
	return nil
}

// describe writes node.json so that a crash leaves all of it or nothing.
func (d *directory) describe() error {
	data, err := json.MarshalIndent(d.desc, "", "  ")
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	final := filepath.Join(d.path, fileDescription)
	f, err := os.CreateTemp(d.path, fileDescription+".*")
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	_, err = f.Write(append(data, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), final)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("data: %w", err), os.Remove(f.Name()))
	}
	return syncDir(d.path)
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	return errors.Join(f.Sync(), f.Close())
}

// has reports whether a part of the directory has files in it.
func (d *directory) has(part string) bool {
	names, err := d.fs.List(d.fs.PathJoin(d.path, part))
	return err == nil && len(names) > 0
}

// Close releases the lock.
func (d *directory) Close() error {
	if d.lock == nil {
		return nil
	}
	return d.lock.Close()
}
