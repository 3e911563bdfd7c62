package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/member"
	"github.com/miruvor/miruvor/internal/raftlog"
)

const (
	fileDescription = "node.json"
	fileLock        = "LOCK"
	dirEngine       = "engine"
	dirLog          = "log"
	// unfinished ends the name of a file that is being written.
	unfinished = ".new"
)

// descriptionBytesMax is far more than a description takes.
const descriptionBytesMax = 1 << 20

// description is what node.json says: enough to refuse a directory before any
// of it is touched.
type description struct {
	Format  int          `json:"format"`
	Cluster kv.ClusterID `json:"cluster,string"`
	Name    string       `json:"name"`
	Shape   string       `json:"shape"`
	// Restored is set if the cluster begins with a backup.
	Restored *restored `json:"restored,omitempty"`
	// Sum is a checksum of all the rest; files of versions before have none.
	Sum string `json:"sum,omitempty"`
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
	found, err := admit(c)
	if err != nil {
		return nil, err
	}
	d := &directory{path: c.Dir, fs: c.lab.fs, desc: fresh}
	if found != nil {
		d.desc = *found
	}
	if err := d.make(); err != nil {
		return nil, kv.Invalid("data: %v", err)
	}
	if d.lock, err = lockDirectory(d.fs, c.Dir); err != nil {
		return nil, err
	}
	if found == nil {
		err = d.describe()
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// admit refuses a directory that is not for c. It returns what the directory
// says of itself, nil if it is new.
func admit(c Config) (*description, error) {
	found, err := readDescription(c.lab.fs, c.Dir)
	switch {
	case err != nil:
		return nil, err
	case found == nil:
		return nil, refuseForeign(c.lab.fs, c.Dir)
	}
	return found, found.matches(c)
}

func lockDirectory(files vfs.FS, dir string) (io.Closer, error) {
	lock, err := files.Lock(files.PathJoin(dir, fileLock))
	if err != nil {
		return nil, kv.Invalid("data: %s is in use by another process (%v)", dir, err)
	}
	return lock, nil
}

func (d *directory) join(part string) string { return d.fs.PathJoin(d.path, part) }

// readDescription is nil for a directory that has none.
func readDescription(files vfs.FS, dir string) (*description, error) {
	path := files.PathJoin(dir, fileDescription)
	f, err := files.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, kv.Invalid("data: %v", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, descriptionBytesMax))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, kv.Invalid("data: %s: %v", path, err)
	}
	d, err := decodeDescription(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %s at offset 0: %v", kv.ErrCorrupt, path, err)
	}
	return d, nil
}

// decodeDescription refuses a description that is not, to the byte, what was
// written.
func decodeDescription(data []byte) (*description, error) {
	var d description
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, err
	}
	if d.Format > member.Format {
		return &d, nil // of a newer version, which knows how to check it
	}
	if again, err := d.encode(d.Sum != ""); err != nil || !bytes.Equal(again, data) {
		return nil, errors.Join(errors.New("it fails its checksum"), err)
	}
	return &d, nil
}

// encode is the file's content, with a checksum or as it was without.
func (d description) encode(sum bool) ([]byte, error) {
	d.Sum = ""
	data, err := json.MarshalIndent(d, "", "  ")
	if err == nil && sum {
		d.Sum = fmt.Sprintf("%08x", crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
		data, err = json.MarshalIndent(d, "", "  ")
	}
	return append(data, '\n'), err
}

func (d *description) matches(c Config) error {
	shape := c.Cluster.shape()
	switch {
	case d.Format > member.Format:
		return d.newer(c.Dir)
	case !d.Restored.whole():
		return d.unfinished(c.Dir)
	case d.Name != c.Name:
		return kv.Invalid("data: %s belongs to the node %q, not to %q", c.Dir, d.Name, c.Name)
	case d.Shape != shape:
		return kv.Invalid("data: %s belongs to another cluster: it was founded with %s, "+
			"the options say %s", c.Dir, d.Shape, shape)
	}
	return nil
}

func (d *description) newer(dir string) error {
	return kv.Invalid("data: %s has format %d, this version understands up to %d; "+
		"it was written by a newer version", dir, d.Format, member.Format)
}

// refuseForeign keeps a node out of a directory that holds something else.
func refuseForeign(files vfs.FS, dir string) error {
	names, err := files.List(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return kv.Invalid("data: %v", err)
	}
	if slices.Contains(names, dirLog) && slices.Contains(names, dirEngine) {
		return fmt.Errorf("%w: data: %s at offset 0: the file is missing",
			kv.ErrCorrupt, files.PathJoin(dir, fileDescription))
	}
	for _, name := range names {
		if name != fileLock && name != fileDescription+unfinished {
			return kv.Invalid("data: %s holds %q but no %s; "+
				"it is not a data directory, and not empty", dir, name, fileDescription)
		}
	}
	return nil
}

// make makes the directory, and makes sure that a crash does not undo it.
func (d *directory) make() error {
	parent := d.path
	for {
		if _, err := d.fs.Stat(parent); err == nil {
			break
		}
		next := d.fs.PathDir(parent)
		if next == parent {
			break
		}
		parent = next
	}
	if err := d.fs.MkdirAll(d.path, 0o755); err != nil {
		return err
	}
	for made := d.path; made != parent; made = d.fs.PathDir(made) {
		if err := d.sync(d.fs.PathDir(made)); err != nil {
			return err
		}
	}
	return nil
}

// describe writes node.json so that a crash leaves all of it or nothing.
func (d *directory) describe() error {
	data, err := d.desc.encode(true)
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	begun := d.join(fileDescription + unfinished)
	f, err := d.fs.Create(begun, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = d.fs.Rename(begun, d.join(fileDescription))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("data: %w", err), d.fs.Remove(begun))
	}
	return d.sync(d.path)
}

// sync makes the names in a directory survive a crash.
func (d *directory) sync(path string) error {
	f, err := d.fs.OpenDir(path)
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	return errors.Join(f.Sync(), f.Close())
}

// has reports whether a part of the directory has files in it.
func (d *directory) has(part string) bool {
	names, err := d.fs.List(d.join(part))
	return err == nil && len(names) > 0
}

// complete refuses a directory of which a part is gone, before anything is made
// in its place: a node that lost its log would break its promises, and one
// that lost its engine its data. The log is made first, the engine second, and
// groups come into the log last.
func (d *directory) complete() error {
	hasLog, hasEngine := d.has(dirLog), d.has(dirEngine)
	switch {
	case hasEngine && !hasLog:
		return d.incomplete("an engine", "log")
	case hasLog && !hasEngine:
		groups, _, err := raftlog.Inspect(d.fs, d.join(dirLog))
		if err == nil && len(groups) > 0 {
			err = d.incomplete("a log", "engine")
		}
		return err
	}
	return nil
}

func (d *directory) incomplete(there, gone string) error {
	return fmt.Errorf("%w: data: %s has %s but no %s that belongs to it",
		kv.ErrCorrupt, d.path, there, gone)
}

// Close releases the lock.
func (d *directory) Close() error {
	if d.lock == nil {
		return nil
	}
	return d.lock.Close()
}
