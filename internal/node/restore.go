package node

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/miruvor/miruvor/internal/backup"
	"github.com/miruvor/miruvor/internal/engine/pebble"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/member"
	"github.com/miruvor/miruvor/internal/raftlog"
)

// Backup is what a new cluster is to begin with.
type Backup struct {
	// Name is what the file is called in errors.
	Name string
	// File is read twice, from its beginning.
	File io.ReadSeeker
	// Bump is how far the first revision of the cluster is above that of the
	// backup, 0 for 1. Clients of the old cluster may have seen revisions above
	// the backup's; those should lie below.
	Bump kv.Revision
	// Progress is told how many bytes of how many are done, if it is not nil.
	Progress func(done, total int64)
}

// Restoration is what Restore made.
type Restoration struct {
	backup.Summary
	// First is the revision that the cluster begins at. What is older is
	// compacted.
	First kv.Revision
	// Cluster is the new cluster's id, and Token what it is made of: a node
	// whose directory is lost later is started with it.
	Cluster kv.ClusterID
	Token   string
}

// Restore makes the directory of a node that founds a cluster which begins with
// a backup. Every node of the cluster is given the same backup and the same
// c.Cluster; then Start begins as ever. Nodes with other backups, or none, are
// of another cluster.
//
//	node.json: unfinished ── log, engine: empty ── keys ── leases, metadata ── finished
//
// Keys keep their revisions, versions and leases; leases begin their time anew.
// Memory is bounded but for the leases, of which each takes some tens of bytes.
// A directory in which a restore did not come to its end is made anew; any other
// that is not empty is refused with kv.ErrInvalid, and a damaged file with
// kv.ErrCorrupt before anything is changed.
func Restore(c Config, from Backup) (Restoration, error) {
	c = c.withDefaults()
	if from.Bump == 0 {
		from.Bump = 1
	}
	if err := c.validateRestore(from.Bump); err != nil {
		return Restoration{}, err
	}
	if err := admitRestore(c); err != nil {
		return Restoration{}, err
	}
	r, err := survey(c, from)
	if err != nil {
		return Restoration{}, err
	}
	return r.result, r.run()
}

// firstRevisionMax leaves a cluster enough revisions to go on with.
const firstRevisionMax = kv.RevisionMax / 2

func (c Config) validateRestore(bump kv.Revision) error {
	err := c.Validate()
	if c.Durability == DurabilityMemory {
		err = errors.Join(err, kv.Invalid("durability: a backup is restored to a disk"))
	}
	if bump < 1 || bump > firstRevisionMax {
		err = errors.Join(err, kv.Invalid("bump-revision: %d is outside 1 to %d", int64(bump),
			int64(firstRevisionMax)))
	}
	if c.Cluster.isRestored() {
		err = errors.Join(err, kv.Invalid("initial-cluster-token: %q is that of a cluster which "+
			"another restore has made; leave it out, or choose one", c.Cluster.Token))
	}
	return err
}

// admitRestore refuses a directory that holds anything but a restore which did
// not come to its end.
func admitRestore(c Config) error {
	found, err := readDescription(c.lab.fs, c.Dir)
	switch {
	case err != nil:
		return err
	case found == nil:
		return refuseForeign(c.lab.fs, c.Dir)
	case found.Restored.whole():
		return kv.Invalid("data: %s holds the node %q already; a backup is restored into "+
			"a new directory", c.Dir, found.Name)
	}
	return nil
}

// run makes the directory of what the survey has found.
func (r *restorer) run() (err error) {
	d := &directory{path: r.cfg.Dir, fs: r.cfg.lab.fs, desc: r.description()}
	if err := d.make(); err != nil {
		return kv.Invalid("data: %v", err)
	}
	if d.lock, err = lockDirectory(d.fs, r.cfg.Dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := d.describe(); err != nil {
		return err
	}
	if err := d.empty(); err != nil {
		return err
	}
	if err := r.fill(d); err != nil {
		return err
	}
	d.desc.Restored.Finished = true
	return d.describe()
}

func (r *restorer) description() description {
	return description{
		Format: member.Format, Cluster: r.result.Cluster, Name: r.cfg.Name,
		Shape: r.cfg.Cluster.shape(),
		Restored: &restored{
			Token: r.result.Token, Checksum: hex.EncodeToString(r.result.Checksum[:]),
			Revision: r.result.Revision,
		},
	}
}

// empty removes what an earlier restore left.
func (d *directory) empty() error {
	for _, part := range []string{dirLog, dirEngine} {
		if err := d.fs.RemoveAll(d.join(part)); err != nil {
			return fmt.Errorf("data: %w", err)
		}
	}
	return d.sync(d.path)
}

// fill makes the log and the engine.
func (r *restorer) fill(d *directory) (err error) {
	lab := r.cfg.lab
	log, err := raftlog.Open(raftlog.Options{
		FS: d.fs, Dir: d.join(dirLog), SegmentBytes: lab.segmentBytes, Logger: r.cfg.Logger,
	})
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	if err := log.Close(); err != nil {
		return fmt.Errorf("log: %w", err)
	}
	e, err := pebble.Open(d.join(dirEngine), pebble.Options{
		FS: d.fs, MemtableBytes: lab.memtableBytes, Logger: r.cfg.Logger,
	})
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	if err := member.WriteIdentity(e, r.identity()); err != nil {
		return err
	}
	return r.write(e)
}

func (r *restorer) identity() member.Identity {
	return member.Identity{
		Format: member.Format, Cluster: r.result.Cluster, Node: r.self, Name: r.cfg.Name,
		Incarnation: kv.Incarnation(rand.Uint64() | 1),
	}
}
