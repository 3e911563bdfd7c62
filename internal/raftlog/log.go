package raftlog

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/miruvor/miruvor/internal/kv"
)

// errClosed is what a closed log answers.
var errClosed = fmt.Errorf("raft log: %w", kv.ErrStopped)

// Log is the log of all groups of a node.
type Log struct {
	opts   Options
	logger *slog.Logger

	// turn serialises Append, Sync, Remove and Close.
	turn  sync.Mutex
	files files
	batch batch
	// broken is the first failure of a write or a sync; it is final.
	broken error
	// round numbers the Appends.
	round       uint64
	evictHand   int
	rewriteHand int

	cached atomic.Int64
	stats  stats

	mu     sync.RWMutex
	groups map[kv.ShardID]*Group
	order  []*Group // by creation; only ever grows
	// unsaved were truncated since the log last said so.
	unsaved []*Group
}

// Open recovers the log in a directory, or begins a new one. A torn tail, what
// a crash leaves of writes that were never synced, is dropped. Anything else
// that fails its checks is refused with kv.ErrCorrupt, file and offset, and a
// newer format with ErrNewerVersion; then nothing has been changed.
//
// Open blocks while it reads the whole log. What it recovered is on stable
// storage when it returns.
func Open(opts Options) (*Log, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Log{opts: opts, logger: opts.Logger, groups: map[kv.ShardID]*Group{}}
	l.files = files{opts: opts, stats: &l.stats}
	if err := l.open(); err != nil {
		return nil, errors.Join(err, l.files.close())
	}
	return l, nil
}

func (l *Log) open() error {
	if err := l.files.makeDir(); err != nil {
		return err
	}
	r := replay{fs: l.opts.FS, dir: l.opts.Dir, log: l}
	err := r.run()
	l.files.segments = r.segments
	if err != nil {
		return err
	}
	l.files.spares = r.leftovers
	if err := l.files.resume(r.nextSeq, r.clean); err != nil {
		return err
	}
	if r.noteErr != nil {
		l.logger.Warn("raft log: a note is of no use, and made anew", "error", r.noteErr)
	}
	if r.tornFile != "" {
		l.logger.Warn("raft log: dropped a torn tail", "file", r.tornFile, "offset", r.tornOffset)
	}
	l.updateStats()
	return nil
}

// Group returns the handle of a shard's log, which is empty if the log holds
// nothing of it.
func (l *Log) Group(shard kv.ShardID) *Group {
	l.mu.RLock()
	g := l.groups[shard]
	l.mu.RUnlock()
	if g != nil {
		return g
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if g := l.groups[shard]; g != nil {
		return g
	}
	g = &Group{log: l, shard: shard}
	l.groups[shard] = g
	l.order = append(l.order, g)
	return g
}

// Groups lists the shards of which the log holds anything, in order.
func (l *Log) Groups() []kv.ShardID {
	var out []kv.ShardID
	for _, g := range l.groupList() {
		if !g.empty() {
			out = append(out, g.shard)
		}
	}
	slices.Sort(out)
	return out
}

// groupList returns all groups by creation. It must not be modified.
func (l *Log) groupList() []*Group {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.order[:len(l.order):len(l.order)]
}

func (l *Log) markUnsaved(g *Group) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unsaved = append(l.unsaved, g)
}

// takeUnsaved returns the groups that were truncated since the last call.
func (l *Log) takeUnsaved() []*Group {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.unsaved
	l.unsaved = nil
	return list
}

// Remove forgets a group. When it returns, that is on stable storage (with
// SyncFull), and its records are garbage.
func (l *Log) Remove(shard kv.ShardID) error {
	if err := l.Append([]Record{{Shard: shard, Remove: true}}); err != nil {
		return err
	}
	return l.Sync()
}

// Sync returns once everything appended so far is on stable storage. With
// SyncOS it does nothing. An error is final: nobody knows what the disk holds
// then, so the process has to stop.
func (l *Log) Sync() error {
	if err := l.syncData(); err != nil {
		return err
	}
	return l.mark()
}

// syncData is Sync without the note for a later recovery.
func (l *Log) syncData() error { return l.onFiles((*files).sync) }

// mark notes what is synced.
func (l *Log) mark() error { return l.onFiles((*files).mark) }

// onFiles does something to the files of a log that is synced.
func (l *Log) onFiles(do func(*files) error) error {
	l.turn.Lock()
	defer l.turn.Unlock()
	if l.broken != nil {
		return l.broken
	}
	if l.opts.Sync == SyncOS {
		return nil
	}
	return l.breakOn(do(&l.files))
}

// Close syncs and closes the files. Groups must no longer be in use; every
// later call fails.
func (l *Log) Close() error {
	l.turn.Lock()
	defer l.turn.Unlock()
	if errors.Is(l.broken, errClosed) {
		return nil
	}
	var err error
	if l.broken == nil {
		err = l.files.seal()
	}
	l.broken = errClosed
	return errors.Join(err, l.files.close())
}

// breakOn makes a failure final.
func (l *Log) breakOn(err error) error {
	if err != nil && l.broken == nil {
		l.broken = fmt.Errorf("raft log is broken: %w", err)
	}
	return err
}
