package sim

import (
	"errors"
	"fmt"
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
)

// Check holds a history against what the store promises, in the order of the
// revisions (the numbers are the design's invariants):
//
//   - no two commits share a revision (1), and of one over several shards all
//     parts are there;
//   - every transaction that was answered did and saw what the reference does
//     at its revision, and if it writes, that is what the replicas hold: nothing
//     acknowledged is lost (2, 3), compares are decided right;
//   - every other commit is that of one operation whose fate is unknown; what
//     was refused never happened;
//   - who began after another's end has a higher revision, or if it reads, no
//     lower one (2);
//   - every read shows exactly the state at its revision, over all shards (2, 7).
//
// With dense, revisions also have no gap: nothing went wrong in the run, or there is
// one shard, whose log alone gives them.
func (h *History) Check(dense bool) error {
	c := &checker{history: h, claims: map[kv.Revision]*Op{}}
	return c.run(dense)
}

// checker checks one history.
type checker struct {
	history *History
	model   *model
	commits map[kv.Revision]*Commit
	// claims says which operation a commit is of.
	claims map[kv.Revision]*Op
	// floors holds, for each operation, the highest revision that was told
	// to anybody before it began.
	floors map[*Op]kv.Revision
	// ends are the revisions at which leases ended that had keys.
	ends map[kv.LeaseID]kv.Revision
	// told is what anybody was told, in order, for those who watch.
	told []told
}

func (c *checker) run(dense bool) error {
	if err := c.index(); err != nil {
		return err
	}
	c.findFloors()
	for _, op := range c.history.Ops {
		if op.Fate() != Done || op.Txn == nil && op.Range == nil {
			continue
		}
		if err := c.checkOp(op); err != nil {
			return fmt.Errorf("%w\n%v", err, op)
		}
	}
	c.findEnds()
	if err := c.explainRest(); err != nil {
		return err
	}
	if err := c.checkRefusals(); err != nil {
		return err
	}
	if err := c.checkCompactions(); err != nil {
		return err
	}
	if err := c.checkLeases(); err != nil {
		return err
	}
	if err := c.checkAlarms(); err != nil {
		return err
	}
	if err := c.checkWatches(); err != nil {
		return err
	}
	if dense {
		return c.checkGaps()
	}
	return nil
}

// index looks at the commits alone, and makes the model of them.
func (c *checker) index() error {
	list, err := join(c.history.Commits)
	if err != nil {
		return err
	}
	c.history.Commits = list
	c.commits = map[kv.Revision]*Commit{}
	last := kv.FirstRevision
	for i := range list {
		if list[i].Revision <= last {
			return fmt.Errorf("revision %v in %v goes back, after %v",
				list[i].Revision, list[i].Shard, last)
		}
		last = list[i].Revision
		c.commits[last] = &list[i]
	}
	c.model = newModel(list)
	return nil
}

// join makes one commit of what several shards hold of a revision.
func join(parts []Commit) ([]Commit, error) {
	var list []Commit
	for _, part := range parts {
		last := len(list) - 1
		if last < 0 || list[last].Revision != part.Revision {
			part.Writes = slices.Clone(part.Writes)
			list = append(list, part)
			continue
		}
		list[last].Writes = append(list[last].Writes, part.Writes...)
	}
	for i := range list {
		writes := list[i].Writes
		slices.SortStableFunc(writes, func(a, b Write) int { return int(a.Sub) - int(b.Sub) })
		for sub := range writes {
			if int(writes[sub].Sub) != sub {
				return nil, fmt.Errorf("revision %v has no write %d, or two: it was used twice, "+
					"or a part of it is missing: %+v", list[i].Revision, sub, writes)
			}
		}
	}
	return list, nil
}

// findFloors walks beginnings and ends in their order.
func (c *checker) findFloors() {
	type mark struct {
		order int
		op    *Op
	}
	var marks []mark
	for _, op := range c.history.Ops {
		marks = append(marks, mark{op.Begin, op})
		if op.Fate() == Done {
			marks = append(marks, mark{op.End, op})
		}
	}
	slices.SortFunc(marks, func(a, b mark) int { return a.order - b.order })
	c.floors = map[*Op]kv.Revision{}
	floor := kv.FirstRevision
	for _, m := range marks {
		if m.order == m.op.Begin {
			c.floors[m.op] = floor
			continue
		}
		floor = max(floor, m.op.Revision())
	}
}

// checkOp checks an operation that was answered.
func (c *checker) checkOp(op *Op) error {
	rev, floor := op.Revision(), c.floors[op]
	if op.Range != nil {
		if rev < floor && !op.Range.Serializable {
			return fmt.Errorf("stale read: %v was told to somebody before it began", floor)
		}
		want := (&view{model: c.model, at: rev}).read(op.Range)
		want.Revision = rev
		return sameRange(want, op.RangeResponse)
	}
	if rev < floor {
		return fmt.Errorf("out of order: %v was told to somebody before it began", floor)
	}
	// A transaction that wrote nothing looks the same as one that wrote, but
	// for its answer: which of the two fits?
	asWriter := c.checkWriter(op)
	if asWriter == nil {
		return c.claim(op)
	}
	v := &view{model: c.model, at: rev}
	want := v.run(op.Txn)
	if len(v.writes) > 0 || v.missing {
		return asWriter
	}
	return sameTxn(want, op.TxnResponse)
}

// checkWriter checks a transaction as the one that made the commit of its
// revision.
func (c *checker) checkWriter(op *Op) error {
	rev := op.Revision()
	v := &view{model: c.model, at: rev - 1, rev: rev}
	want := v.run(op.Txn)
	commit := c.commits[rev]
	if v.missing {
		return errors.New("it keeps what a missing key had")
	}
	if len(v.writes) == 0 {
		return errors.New("it writes nothing")
	}
	if commit == nil || !slices.Equal(commit.Writes, v.writes) {
		held := "nothing"
		if commit != nil {
			held = describeWrites(rev, commit.Writes)
		}
		return fmt.Errorf("lost write: what it should have left, and what the replicas hold\n"+
			"  want %s\n  got  %s", describeWrites(rev, v.writes), held)
	}
	return sameTxn(want, op.TxnResponse)
}

// claim gives the commit of its revision to an operation.
func (c *checker) claim(op *Op) error {
	rev := op.Revision()
	switch {
	case c.claims[rev] != nil:
		return fmt.Errorf("two operations have revision %v: also %v", rev, c.claims[rev])
	case c.floors[op] >= rev:
		return fmt.Errorf("out of order: %v was told to somebody before it began", c.floors[op])
	}
	c.claims[rev] = op
	return nil
}

// checkGaps checks that the revisions of writes follow one another.
func (c *checker) checkGaps() error {
	next := kv.FirstRevision + 1
	for _, commit := range c.history.Commits {
		if commit.Revision != next {
			return fmt.Errorf("a revision is skipped: %v follows %v", commit.Revision, next-1)
		}
		next++
	}
	return nil
}
