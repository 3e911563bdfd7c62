package sim

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/placement"
)

// check asks everything once more, then compares the replicas and holds the
// history against the promises.
func (c *cluster) check() error {
	// The last questions compact again, which would tell those who missed a floor.
	c.runUntil("the floor to get around", 20*time.Second, c.swept)
	if err := c.lastQuestions(); err != nil {
		return err
	}
	if err := c.lastRefusals(); err != nil {
		return err
	}
	c.lastResponses()
	c.runUntil("equal replicas", 20*time.Second, c.settled)
	c.runUntil("sweeps", 20*time.Second, c.swept)
	c.runUntil("all nodes to know of the alarms", 3*time.Second, c.alarmsKnown)
	if err := c.checkLeftovers(); err != nil {
		return err
	}
	for _, s := range c.allShards() {
		if err := c.compareReplicas(s); err != nil {
			return err
		}
	}
	if err := c.checkLogs(); err != nil {
		return err
	}
	slices.SortFunc(c.history.Commits, func(a, b Commit) int {
		return int(a.Revision - b.Revision)
	})
	if err := c.history.checkTasks(c.keys); err != nil {
		return err
	}
	// A new oracle's leader hands out revisions from further up, if there are more shards.
	dense := c.calm && len(c.terms) == c.leaders || c.cfg.Shape.Shards == 1
	return c.history.Check(dense)
}

// compareReplicas checks that a shard is the same on all its nodes, byte for
// byte, that its versions and its history make sense, and keeps its commits.
func (c *cluster) compareReplicas(s placement.Shard) error {
	var first uint64
	for i, id := range s.Nodes {
		n := c.nodes[id]
		sum, err := digest(n.engine, s)
		if err != nil {
			return err
		}
		if i == 0 {
			first = sum
		} else if sum != first {
			return fmt.Errorf("the replicas of %v differ on %v and %v:\n%s", s.ID, s.Nodes[0], id,
				difference(c.nodes[s.Nodes[0]].engine, n.engine, s))
		}
	}
	return c.collect(c.nodes[s.Nodes[0]].engine, s)
}

// collect checks what a shard holds, and adds its commits to the history.
func (c *cluster) collect(e engine.Reader, s placement.Shard) error {
	if s.ID == kv.SystemShard {
		return nil
	}
	for problem, err := range mvcc.Check(e, s.ID, s.Range, c.floor()) {
		if err != nil {
			return err
		}
		return fmt.Errorf("%v: %v", s.ID, problem)
	}
	h := c.harvestOf(s.ID)
	if err := h.take(e, s.ID, kv.RevisionMax-1); err != nil {
		return err
	}
	c.history.Commits = append(c.history.Commits, h.commits...)
	return c.checkSwept(e, s)
}

// digest is a hash over everything that an engine holds of a shard.
func digest(r engine.Reader, s placement.Shard) (uint64, error) {
	h := fnv.New64a()
	err := eachPair(r, s, func(key, value []byte) {
		_, _ = h.Write(key)
		_, _ = h.Write([]byte{0xff, byte(len(value))})
		_, _ = h.Write(value)
	})
	return h.Sum64(), err
}

func eachPair(r engine.Reader, s placement.Shard, visit func(key, value []byte)) error {
	for _, span := range keyspace.Spans(s.ID, s.Range) {
		it, err := r.NewIter(span.Start, span.End)
		if err != nil {
			return err
		}
		for ok := it.First(); ok; ok = it.Next() {
			visit(it.Key(), it.Value())
		}
		if err := errors.Join(it.Error(), it.Close()); err != nil {
			return err
		}
	}
	return nil
}

// difference names the first pairs that two engines do not share.
func difference(a, b engine.Reader, s placement.Shard) string {
	text, lines := "", 0
	report := func(where string, other engine.Reader) func(key, value []byte) {
		return func(key, value []byte) {
			found, err := other.Get(key)
			if (err != nil || !bytes.Equal(found, value)) && lines < 20 {
				text += fmt.Sprintf("%s %q = %q\n", where, key, value)
				lines++
			}
		}
	}
	if err := errors.Join(eachPair(a, s, report("here ", b)),
		eachPair(b, s, report("there", a))); err != nil {
		return err.Error()
	}
	return text
}
