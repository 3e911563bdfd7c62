package raftlog

import (
	"fmt"
	"sync"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/miruvor/miruvor/internal/kv"
)

// Group is the log of one shard. It answers what raft.Storage asks about
// entries. All methods are safe for concurrent use with the log's writer; they
// see what was appended, synced or not.
type Group struct {
	log   *Log
	shard kv.ShardID

	mu sync.RWMutex
	// base is the position before the first entry, last the index of the
	// last one: base.Index <= last.
	base Position
	last uint64
	hard hardState
	// index covers (base.Index, last] without a gap; it may begin lower.
	index index
	// recent holds the newest entries, up to last, that are in memory.
	recent      []*raftpb.Entry
	recentBytes int64
	// freed were truncated, but the log does not say so yet; a recovery
	// still needs them.
	freed     []run
	unsaved   bool // base is newer than what the log says
	baseSeg   *segment
	hardSeg   *segment
	tentative tentative
}

// tentative is the writer's view of a group while it checks an Append.
type tentative struct {
	round     uint64
	base, end uint64 // end is the last index
}

// HardState returns the hard state that was saved last. It is never nil, and
// the caller's own.
func (g *Group) HardState() *raftpb.HardState {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return &raftpb.HardState{
		Term:   new(g.hard.term),
		Vote:   new(g.hard.vote),
		Commit: new(g.hard.commit),
	}
}

// FirstIndex is the index of the first entry, or of the next one to come if
// there is none. The error is always nil.
func (g *Group) FirstIndex() (uint64, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.base.Index + 1, nil
}

// LastIndex is the index of the last entry, or that of the position before the
// first if there is none. The error is always nil.
func (g *Group) LastIndex() (uint64, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.last, nil
}

// Term returns the term of entry i, or of the position just before the first
// entry. Below that it returns raft.ErrCompacted, above the last
// raft.ErrUnavailable.
func (g *Group) Term(i uint64) (uint64, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.termLocked(i)
}

func (g *Group) termLocked(i uint64) (uint64, error) {
	switch {
	case i == g.base.Index:
		return g.base.Term, nil
	case i < g.base.Index:
		return 0, raft.ErrCompacted
	case i > g.last:
		return 0, raft.ErrUnavailable
	}
	return g.index.runs[g.index.find(i)].term, nil
}

// Bytes is the size in the files of the entries after the last Truncate.
func (g *Group) Bytes() int64 {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.index.bytes
}

// Truncate forgets the entries up to index, whose term stays known. The caller
// guarantees that the engine has durably applied them. It does no I/O: the log
// itself learns of it with the next Append, and after a crash an older first
// index may come back. An index below the first entry does nothing; one above
// the last panics.
func (g *Group) Truncate(index uint64) {
	if g.truncate(index) {
		g.log.markUnsaved(g)
	}
}

// truncate reports whether the log has to be told.
func (g *Group) truncate(index uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if index <= g.base.Index {
		return false
	}
	term, err := g.termLocked(index)
	if err != nil {
		panic(fmt.Sprintf("raftlog: %v truncates to %d, the last entry is %d",
			g.shard, index, g.last))
	}
	g.base = Position{Index: index, Term: term}
	g.freed = append(g.freed, g.index.take(index+1)...)
	if first := g.recentFirst(); index >= first {
		g.dropRecent(int(min(index-first+1, uint64(len(g.recent)))))
	}
	was := g.unsaved
	g.unsaved = true
	return !was
}

// empty reports whether the group has no state at all.
func (g *Group) empty() bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.last == 0 && g.base == Position{} && g.hard == hardState{}
}

func (g *Group) isUnsaved() bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.unsaved
}

// appendRun makes r the end of the log: whatever is at or above it goes.
func (g *Group) appendRun(r run, entries []*raftpb.Entry) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.first <= g.last {
		g.cutFrom(r.first)
	}
	g.index.append(r)
	g.last = r.last()
	g.addRecent(r.first, entries)
}

// cutFrom drops the entries at and above index.
func (g *Group) cutFrom(index uint64) {
	g.index.cut(index, g.last)
	if first := g.recentFirst(); index >= first {
		g.cutRecent(int(index - first))
	} else {
		g.cutRecent(0)
	}
}

// moveRun makes r, a copy, the place of its entries.
func (g *Group) moveRun(r run) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.last() <= g.base.Index {
		return
	}
	g.index.put(r)
	g.last = max(g.last, r.last())
}

func (g *Group) setHard(h hardState, seg *segment) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hard = h
	repin(&g.hardSeg, seg)
}

// saved notes that seg holds the group's position and hard state, so that what
// was freed before that is garbage.
func (g *Group) saved(freed []run, seg *segment) {
	g.mu.Lock()
	defer g.mu.Unlock()
	unpinAll(freed)
	repin(&g.baseSeg, seg)
	repin(&g.hardSeg, seg)
}

// reset drops all entries; the log now starts after p.
func (g *Group) reset(p Position, seg *segment) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dropEntries()
	g.base, g.last = p, p.Index
	repin(&g.baseSeg, seg)
}

// remove drops everything.
func (g *Group) remove() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dropEntries()
	g.base, g.last, g.hard = Position{}, 0, hardState{}
	repin(&g.baseSeg, nil)
	repin(&g.hardSeg, nil)
}

func (g *Group) dropEntries() {
	g.index.clear()
	unpinAll(g.freed)
	g.freed, g.unsaved = nil, false
	g.cutRecent(0)
}

// repin moves a pin to seg; nil is no segment.
func repin(at **segment, seg *segment) {
	if *at != nil {
		(*at).unpinState()
	}
	if seg != nil {
		seg.pinState()
	}
	*at = seg
}
