package node

import (
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/watch"
	"github.com/miruvor/miruvor/internal/wire"
)

// lab is what tests choose and users don't. Zero fields are the defaults.
type lab struct {
	// fs is where the directory is; clock is the machine's.
	fs      vfs.FS
	clock   func() wire.Instant
	bounds  replica.Bounds
	watches watch.Bounds
	// electionTicks replaces that of replica.DefaultTiming: with many, a busy
	// machine does not look like a dead leader.
	electionTicks int
	// memtableBytes and segmentBytes are the sizes of parts of the storage.
	memtableBytes uint64
	segmentBytes  int64
	// mutant is a deliberate bug.
	mutant mutant.Mutant
}

// Ground is what a node stands on, for tests in other packages and the processes
// that they start. What is zero stays as users have it.
type Ground struct {
	// Files is where the directory is (internal/faultfs).
	Files vfs.FS
	// Clock never goes back. It is read from any goroutine.
	Clock func() wire.Instant
	// Mutant is a deliberate bug.
	Mutant mutant.Mutant
	// LogKeepEntries is how much of a shard's log is kept for slow followers, and
	// PartBytes the size of memtables and of the log's segments. With little, logs
	// are cut and followers need snapshots all the time.
	LogKeepEntries uint64
	PartBytes      int64
}

// StandOn puts the node on g.
func (c *Config) StandOn(g Ground) {
	c.lab = lab{
		fs: g.Files, clock: g.Clock, mutant: g.Mutant,
		memtableBytes: uint64(g.PartBytes), segmentBytes: g.PartBytes,
	}
	if g.LogKeepEntries > 0 {
		c.lab.bounds = replica.DefaultBounds()
		c.lab.bounds.LogKeepEntries = g.LogKeepEntries
	}
}
