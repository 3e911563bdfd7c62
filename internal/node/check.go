package node

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/engine/pebble"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/member"
	"github.com/miruvor/miruvor/internal/raftlog"
	"github.com/miruvor/miruvor/internal/wire"
)

// Problem is something that is wrong with a data directory.
type Problem struct {
	// Where is a file, with an offset if there is one, a shard, or a key.
	Where string
	// What says what is wrong there.
	What string
}

func (p Problem) String() string { return p.Where + ": " + p.What }

// problemsMax bounds what a check lists.
const problemsMax = 1000

// Check verifies the data directory of a stopped node: every checksum in the
// log and the engine, then everything that has to be true of what they hold.
// It changes nothing. progress, if not nil, is told how many bytes of how
// many are done; they are roughly those of the files, and reach total.
//
// An error means that it could not look: there is no data directory, a
// process uses it, or its format is newer than this program.
func Check(dir string, progress func(done, total int64)) ([]Problem, error) {
	return check(vfs.Default, dir, progress)
}

func check(files vfs.FS, dir string, progress func(done, total int64)) ([]Problem, error) {
	c := &checker{fs: files, dir: dir}
	if err := c.run(progress); err != nil && !errors.Is(err, errEnough) {
		return c.found, err
	}
	return c.found, nil
}

// errEnough ends a check that has found more problems than it may list.
var errEnough = errors.New("too many problems")

// checker checks one directory.
type checker struct {
	fs    vfs.FS
	dir   string
	found []Problem
	desc  *description
	// identity is nil if there is none.
	identity *member.Identity
	logs     map[kv.ShardID]*raftlog.Group
	engine   engine.Reader
	shards   []*checkedShard
}

func (c *checker) join(part string) string { return c.fs.PathJoin(c.dir, part) }

// report notes a problem.
func (c *checker) report(where, format string, args ...any) error {
	if len(c.found) >= problemsMax {
		c.found = append(c.found, Problem{c.dir, "there are more problems; these are the first"})
		return errEnough
	}
	c.found = append(c.found, Problem{where, fmt.Sprintf(format, args...)})
	return nil
}

// reportEach notes all damage that an error of the engine tells of, or the error if it
// tells of none.
func (c *checker) reportEach(where string, err error) error {
	list := pebble.Damages(err)
	if len(list) == 0 {
		return c.report(where, "%v", err)
	}
	for _, d := range list {
		where := fmt.Sprintf("%s at offset %d", d.File, d.Offset)
		if err := c.report(where, "%s", d.What); err != nil {
			return err
		}
	}
	return nil
}

// damaged makes a problem of an error that tells of damage, and returns others.
func (c *checker) damaged(where string, err error) error {
	if errors.Is(err, kv.ErrCorrupt) || errors.Is(err, fs.ErrNotExist) {
		return c.report(where, "%v", err)
	}
	return err
}

func (c *checker) run(tell func(done, total int64)) error {
	lock, err := c.enter()
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if !c.has(dirLog) && !c.has(dirEngine) {
		return nil // the node ended before it made anything else
	}
	p, err := c.measure(tell)
	if err != nil {
		return err
	}
	if err := c.checkLog(); err != nil {
		return err
	}
	p.finish(c.join(dirLog))
	return c.checkEngine(p)
}

// enter makes sure that this is a data directory which nobody uses.
func (c *checker) enter() (io.Closer, error) {
	if _, err := c.fs.List(c.dir); err != nil {
		return nil, kv.Invalid("data: %v", err)
	}
	desc, err := readDescription(c.fs, c.dir)
	c.desc = desc
	where := c.join(fileDescription) + " at offset 0"
	switch {
	case err != nil:
		err = c.damaged(where, err)
	case desc == nil && !c.exists(dirEngine) && !c.exists(dirLog):
		err = kv.Invalid("data: %s is not a data directory, it has no %s", c.dir, fileDescription)
	case desc == nil:
		err = c.report(where, "the file is missing")
	case desc.Format > member.Format:
		err = desc.newer(c.dir)
	case !desc.Restored.whole():
		err = desc.unfinished(c.dir)
	}
	if err != nil || !c.exists(fileLock) {
		return io.NopCloser(nil), err
	}
	return lockDirectory(c.fs, c.dir)
}

func (c *checker) exists(part string) bool {
	_, err := c.fs.Stat(c.join(part))
	return err == nil
}

func (c *checker) checkLog() error {
	dir := c.join(dirLog)
	groups, problems, err := raftlog.Inspect(c.fs, dir)
	if err != nil {
		return c.damaged(dir, err)
	}
	for _, p := range problems {
		where := fmt.Sprintf("%s at offset %d", p.File, p.Offset)
		if err := c.report(where, "%s", p.What); err != nil {
			return err
		}
	}
	if len(problems) == 0 {
		c.logs = groups
	}
	return nil
}

// checkEngine checks the files of the engine, and then what they hold.
func (c *checker) checkEngine(p *progress) (err error) {
	dir := c.join(dirEngine)
	e, err := pebble.Open(dir, pebble.Options{FS: c.fs, ReadOnly: true})
	switch {
	case err != nil && c.neverBegan():
		return nil
	case err != nil && !c.exists(dirEngine):
		return c.report(dir, "the directory is missing")
	case err != nil:
		return c.reportEach(dir, err)
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	if err := e.Check(); err != nil {
		return c.reportEach(dir, err)
	}
	p.finish(dir)
	c.engine = p.reader(e)
	if err := c.checkContents(); err != nil {
		return c.damaged(dir, err)
	}
	p.finish(dir)
	return nil
}

func (c *checker) checkContents() error {
	steps := []func() error{
		c.checkIdentity, c.findShards, c.checkPlaces, c.checkMap, c.checkShards, c.checkGaps,
		c.checkLogs,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// checkIdentity compares the engine's idea of the node with node.json's.
func (c *checker) checkIdentity() error {
	const where = "node identity"
	id, ok, err := member.LoadIdentity(c.engine)
	switch {
	case err != nil:
		return c.damaged(where, err)
	case !ok && !c.neverBegan():
		return c.report(where, "there is none, but the log holds shards")
	case !ok:
		return nil
	}
	c.identity = &id
	if c.desc == nil {
		return nil
	}
	if id.Cluster != c.desc.Cluster || id.Name != c.desc.Name {
		return c.report(where, "the engine belongs to node %q of cluster %v, %s says %q of %v",
			id.Name, id.Cluster, fileDescription, c.desc.Name, c.desc.Cluster)
	}
	if id.Role != wire.RoleUndecided && !c.has(dirLog) {
		return c.report(c.join(dirLog), "the log is gone, but the engine remembers it")
	}
	return nil
}

// neverBegan reports whether the node ended before it had any shard: the log is
// made first, the engine second.
func (c *checker) neverBegan() bool {
	return c.logs != nil && len(c.logs) == 0 && c.has(dirLog)
}

// has reports whether a part of the directory has files in it.
func (c *checker) has(part string) bool {
	names, err := c.fs.List(c.join(part))
	return err == nil && len(names) > 0
}
