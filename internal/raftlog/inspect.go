package raftlog

import (
	"errors"
	"log/slog"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/kv"
)

// Inspect is Check that also tells what it found: the groups, with their
// positions, terms and hard states. Their entries can't be read, and nothing
// can be appended. After problems they are only as good as the log is.
func Inspect(fs vfs.FS, dir string) (map[kv.ShardID]*Group, []Problem, error) {
	opts, err := Options{FS: fs, Dir: dir, Salt: 1}.withDefaults()
	if err != nil {
		return nil, nil, err
	}
	l := &Log{opts: opts, logger: slog.New(slog.DiscardHandler), groups: map[kv.ShardID]*Group{}}
	var found []Problem
	r := replay{fs: opts.FS, dir: dir, log: l, report: func(p Problem) { found = append(found, p) }}
	err = r.run()
	for _, s := range r.segments {
		err = errors.Join(err, s.file.Close())
	}
	groups := map[kv.ShardID]*Group{}
	for _, shard := range l.Groups() {
		groups[shard] = l.Group(shard)
	}
	return groups, found, err
}
