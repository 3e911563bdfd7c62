package raftlog

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/kv"
)

// Problem is something that is wrong with a log.
type Problem struct {
	File   string
	Offset int64
	What   string
}

func (p Problem) String() string {
	return fmt.Sprintf("%s at offset %d: %s", p.File, p.Offset, p.What)
}

// corruptError is a Problem as an error, which wraps kv.ErrCorrupt.
type corruptError struct{ problem Problem }

func (e corruptError) Error() string {
	return fmt.Sprintf("%v: raft log %v", kv.ErrCorrupt, e.problem)
}

func (e corruptError) Unwrap() error { return kv.ErrCorrupt }

// corrupt builds an error that wraps kv.ErrCorrupt and names the place.
func corrupt(file string, offset int64, what string) error {
	return corruptError{Problem{File: file, Offset: offset, What: what}}
}

// Check reads the log of a stopped node and lists everything in it that is
// wrong, with file and offset; a torn tail is not wrong. It changes nothing.
// An error means that it could not look: the directory or a file cannot be
// read, or the format is newer than this program (ErrNewerVersion).
func Check(fs vfs.FS, dir string) ([]Problem, error) {
	_, problems, err := Inspect(fs, dir)
	return problems, err
}

// Inspect is Check that also tells what it found: the groups that the log holds
// anything of, with their positions, terms and hard states. Their entries
// cannot be read. After problems they are only as good as the log is.
func Inspect(fs vfs.FS, dir string) (map[kv.ShardID]*Group, []Problem, error) {
	opts, err := Options{FS: fs, Dir: dir, Salt: 1}.withDefaults()
	if err != nil {
		return nil, nil, err
	}
	l := &Log{opts: opts, logger: opts.Logger, groups: map[kv.ShardID]*Group{}}
	r := replay{fs: opts.FS, dir: dir, log: l, goOn: true}
	err = r.run()
	if e, ok := errors.AsType[corruptError](err); ok {
		r.problems, err = append(r.problems, e.problem), nil
	}
	for _, s := range r.segments {
		err = errors.Join(err, s.close())
	}
	groups := map[kv.ShardID]*Group{}
	for _, shard := range l.Groups() {
		groups[shard] = l.Group(shard)
	}
	return groups, r.problems, err
}
