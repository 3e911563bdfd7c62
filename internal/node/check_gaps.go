package node

import (
	"maps"
	"slices"

	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/raftlog"
	"github.com/miruvor/miruvor/internal/wire"
)

// checkGaps looks for what belongs to no shard: between the spans of the
// shards there must be nothing.
func (c *checker) checkGaps() error {
	var owned []keyspace.Span
	for _, s := range c.shards {
		if s.described {
			owned = append(owned, keyspace.Spans(s.id, s.desc.Range())...)
		} else {
			owned = append(owned, keyspace.MetaSpan(s.id))
		}
	}
	owned = append(owned, keyspace.Span{
		Start: []byte{byte(keyspace.SpaceNode)}, End: []byte{byte(keyspace.SpaceNode) + 1},
	})
	slices.SortFunc(owned, func(a, b keyspace.Span) int { return slices.Compare(a.Start, b.Start) })
	var end []byte
	for _, span := range owned {
		if slices.Compare(span.Start, end) > 0 {
			if err := c.checkGap(keyspace.Span{Start: end, End: span.Start}); err != nil {
				return err
			}
		}
		if slices.Compare(span.End, end) > 0 {
			end = span.End
		}
	}
	return c.checkGap(keyspace.Span{Start: end})
}

// checkGap reports whatever lies in a span that no shard owns.
func (c *checker) checkGap(gap keyspace.Span) error {
	return c.eachIn(gap, func(key, _ []byte) error {
		if user, rev, err := keyspace.ParseVersionKey(key); err == nil {
			return c.report(keyName(key), "the version of %q at %v lies in no shard of this node",
				user, rev)
		}
		if shard, rev, _, err := keyspace.ParseHistoryKey(key); err == nil {
			return c.report(keyName(key), "the history of shard %v at %v is here, the shard is not",
				shard, rev)
		}
		return c.report(keyName(key), "it belongs to no shard of this node")
	})
}

// checkLogs compares each shard with its log.
func (c *checker) checkLogs() error {
	if c.logs == nil {
		return nil // the log has problems of its own
	}
	for _, s := range c.shards {
		if !s.readable {
			continue
		}
		if err := c.checkShardLog(s, c.logs[s.id]); err != nil {
			return err
		}
	}
	for _, shard := range slices.Sorted(maps.Keys(c.logs)) {
		g := c.logs[shard]
		held := slices.ContainsFunc(c.shards, func(s *checkedShard) bool { return s.id == shard })
		first, _ := g.FirstIndex()
		if last, _ := g.LastIndex(); !held && last >= first {
			err := c.report(c.join(dirLog), "it holds entries %d to %d of shard %v, "+
				"of which the engine holds nothing", first, last, shard)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// checkShardLog makes sure that the log, nil for none, goes on where the engine
// ends. An engine that is ahead is right: a snapshot is installed there first, and may
// replace entries of which the log does not say that they are committed. Of the last
// one it rarely does (replica.mustKeep).
func (c *checker) checkShardLog(s *checkedShard, g *raftlog.Group) error {
	if g == nil {
		if s.applied.Index > 1 && c.identity != nil && c.identity.Role == wire.RoleFounder {
			return c.report(s.where(), "the log has nothing of it, the engine has applied up to %d",
				s.applied.Index)
		}
		return nil // it was about to begin
	}
	first, _ := g.FirstIndex()
	last, _ := g.LastIndex()
	commit := g.HardState().GetCommit()
	term, err := g.Term(s.applied.Index)
	switch {
	case first > s.applied.Index+1:
		return c.report(s.where(), "the log begins at index %d, but the engine has applied "+
			"only up to %d", first, s.applied.Index)
	case commit > last:
		return c.report(s.where(), "index %d is committed, but the log ends at %d", commit, last)
	case err == nil && commit >= s.applied.Index && term != s.applied.Term:
		return c.report(s.where(), "entry %d is of term %d in the log, but was applied with "+
			"term %d", s.applied.Index, term, s.applied.Term)
	}
	return nil
}
