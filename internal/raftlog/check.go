package raftlog

import (
	"errors"
	"log/slog"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/kv"
)

// Check reads the log of a stopped node and lists everything in it that is
// wrong, with file and offset; a torn tail is not wrong. It changes nothing.
// An error means that it could not look: the directory or a file cannot be
// read, or the format is newer than this program (ErrNewerVersion).
func Check(fs vfs.FS, dir string) ([]Problem, error) {
	opts, err := Options{FS: fs, Dir: dir, Salt: 1}.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Log{opts: opts, logger: slog.New(slog.DiscardHandler), groups: map[kv.ShardID]*Group{}}
	var found []Problem
	r := replay{fs: opts.FS, dir: dir, log: l, report: func(p Problem) { found = append(found, p) }}
	err = r.run()
	for _, s := range r.segments {
		err = errors.Join(err, s.close())
	}
	return found, err
}
