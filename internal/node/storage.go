package node

import (
	"cmp"
	"fmt"
	"time"

	"github.com/miruvor/miruvor/internal/engine/pebble"
	"github.com/miruvor/miruvor/internal/raftlog"
)

// opened is how long it took to open the storage. A start applies what the engine lacks
// of the log after that, which shows in the shards' indexes.
type opened struct {
	log, engine time.Duration
}

// openStorage opens the log and the engine.
func (n *Node) openStorage() error {
	part := n.partBytes()
	begun := time.Now()
	if err := n.openLog(part); err != nil {
		return fmt.Errorf("log: %w", err)
	}
	n.opened.log = time.Since(begun)
	begun = time.Now()
	e, err := pebble.Open(n.dir.join(dirEngine), pebble.Options{
		FS: n.dir.fs, Logger: n.log, OnFlush: n.flushed, OnFailure: n.wreck,
		MemtableBytes: cmp.Or(n.cfg.lab.memtableBytes, uint64(part)),
	})
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	n.opened.engine = time.Since(begun)
	n.log.Debug("storage opened", "log_took", n.opened.log, "engine_took", n.opened.engine)
	n.engine = e
	n.writer = raftlog.NewWriter(n.raftlog, n.log, func(err error) {
		n.fail(fmt.Errorf("raft log: %w", err))
	})
	return nil
}

func (n *Node) openLog(part int64) (err error) {
	opts := raftlog.Options{
		FS: n.dir.fs, Dir: n.dir.join(dirLog), Logger: n.log,
		SegmentBytes: cmp.Or(n.cfg.lab.segmentBytes, part),
	}
	switch n.cfg.Durability {
	case DurabilityOS:
		opts.Sync = raftlog.SyncOS
	case DurabilityMemory:
		opts.Sync, opts.SegmentBytes = raftlog.SyncOS, 4<<20
	}
	n.raftlog, err = raftlog.Open(opts)
	return err
}
