package replica

import (
	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/mvcc"
)

// sweep is how far the sweep has come. It is no more than a hint: what is
// swept has no entry in the history any more, so a sweep may begin anew.
// Every replica sweeps on its own, nothing of it goes through the log.
type sweep struct {
	// floor is that of the sweep under way, or else of the last one; next is
	// where the next part begins. since is that of the last one, 0 as long as
	// an earlier life, or the sender of a snapshot, may have swept further:
	// as far as found, the compaction floor that the state came with.
	floor, since, found kv.Revision
	next                mvcc.Place
	busy                bool
	// versionBytes and historyBytes are what the sweep under way has deleted.
	versionBytes, historyBytes int64
	// versions and bytes are what was deleted since the replica was opened.
	versions, bytes int64
}

// sweepEntriesMax is how many entries of the history a part walks, which takes a
// millisecond or so.
const sweepEntriesMax = 64

// sweepLimit is how far may be swept: nothing is ever written at or below it,
// and nobody reads there.
func (r *Replica) sweepLimit() kv.Revision {
	limit := min(r.state.compacted, r.closed.upTo, r.lowestLock())
	for _, rd := range r.reads.running {
		limit = min(limit, rd.at)
	}
	switch {
	case r.cfg.Mutant == mutant.SweepReadable && r.state.compacted > 0:
		limit = r.closed.upTo
	case r.cfg.Mutant == mutant.SweepUnclosed:
		limit = r.state.compacted
	}
	return limit
}

// Sweep does a part of what the compaction floor has made superfluous. It
// reports whether there was anything to do.
func (r *Replica) Sweep() bool {
	s := &r.floors.sweep
	if r.role.restoring > 0 {
		return false
	}
	limit := r.sweepLimit()
	switch {
	case s.busy && limit < s.floor, !s.busy && limit <= s.floor:
		return false
	case !s.busy:
		s.floor, s.busy = limit, true
	}
	b := r.cfg.Engine.NewBatch()
	done, err := mvcc.Sweep(r.cfg.Engine, b, r.cfg.Shard, mvcc.SweepPart{
		From: s.next, Floor: s.floor, Since: s.since, EntriesMax: sweepEntriesMax,
	})
	if err == nil {
		err = b.Commit()
	}
	if err != nil {
		r.broken(r.state.applied.Index, "sweep up to %v: %v", s.floor, err)
	}
	s.next, s.busy = done.Next, !done.Done
	s.versions += int64(done.Versions)
	s.bytes += done.VersionBytes + done.HistoryBytes
	s.versionBytes += done.VersionBytes
	s.historyBytes += done.HistoryBytes
	if done.Done {
		if s.floor >= s.found {
			s.since = s.floor
		}
		r.reclaim()
	}
	return true
}

// ended is the floor of the last sweep that came to its end.
func (s *sweep) ended() kv.Revision {
	if s.busy {
		return s.since
	}
	return s.floor
}

// reclaim asks the engine for the space of what the sweep deleted.
func (r *Replica) reclaim() {
	s := &r.floors.sweep
	versions := keyspace.VersionSpan(r.state.desc.Range())
	history := keyspace.HistorySpan(r.cfg.Shard, 0, 0)
	r.cfg.Engine.Reclaim(engine.Span(versions), s.versionBytes)
	r.cfg.Engine.Reclaim(engine.Span(history), s.historyBytes)
	s.versionBytes, s.historyBytes = 0, 0
}

// restart forgets how far the sweep has come: the shard's state was replaced by one
// with a compaction floor of its own.
func (s *sweep) restart(compacted kv.Revision) {
	s.floor, s.since, s.found, s.next, s.busy = 0, 0, compacted, mvcc.Place{}, false
}
