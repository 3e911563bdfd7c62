package sim

import (
	"errors"
	"fmt"

	"github.com/miruvor/miruvor/internal/kv"
)

// checkCompactions checks what is refused because of a compaction, and what is
// not: below a floor that was told before, every read is refused, and at or above
// all floors that were ever asked for, none is. That reads which are answered
// are right is checked as always.
func (c *checker) checkCompactions() error {
	var all []*Op
	for _, op := range c.history.Ops {
		if op.Compact != nil && op.Fate() != Refused {
			all = append(all, op)
		}
	}
	for _, op := range c.history.Ops {
		told, possible := floorsAround(all, op)
		err := c.checkPast(op, told, possible)
		if op.Compact != nil {
			err = c.checkCompaction(op, told, possible)
		}
		if err != nil {
			return fmt.Errorf("%w; floor %v was told before, %v may have been reached\n%v",
				err, told, possible, op)
		}
	}
	return nil
}

// floorsAround are the highest floor that was told before an operation began, and
// the highest that another one may have raised before it ended.
func floorsAround(compactions []*Op, op *Op) (told, possible kv.Revision) {
	for _, other := range compactions {
		if other == op {
			continue
		}
		if other.Fate() == Done && other.End < op.Begin {
			told = max(told, other.Compact.Revision)
		}
		if op.End == 0 || other.Begin < op.End {
			possible = max(possible, other.Compact.Revision)
		}
	}
	return told, possible
}

// checkPast checks an operation that may read the past.
func (c *checker) checkPast(op *Op, told, possible kv.Revision) error {
	lowest, names := lowestRead(op)
	switch {
	case op.Txn == nil && op.Range == nil:
		return nil
	case errors.Is(op.Err, kv.ErrCompacted) && (!names || lowest >= possible):
		return errors.New("refused as compacted, but it is not")
	case op.Range != nil && op.Range.Serializable:
		return nil // a replica that is behind may know neither the floor nor what is current
	case errors.Is(op.Err, kv.ErrFutureRevision) && (!names || highestRead(op) <= c.floors[op]):
		return errors.New("refused as of the future, but it was told to somebody")
	case op.Fate() != Done:
		return nil
	}
	if lowest, names = lowestDone(op); names && lowest < told {
		return errors.New("answered although it is compacted")
	}
	return nil
}

// checkCompaction checks a compaction's own answer.
func (c *checker) checkCompaction(op *Op, told, possible kv.Revision) error {
	rev := op.Compact.Revision
	switch {
	case errors.Is(op.Err, kv.ErrCompacted) && rev > possible:
		return errors.New("refused as compacted, but it is not")
	case errors.Is(op.Err, kv.ErrFutureRevision) && rev <= c.floors[op]:
		return errors.New("refused as of the future, but it was told to somebody")
	case op.Fate() != Done:
		return nil
	case rev <= told:
		return errors.New("it compacts once more what is compacted")
	case op.Compact.Response.Current < max(rev, c.floors[op]):
		return fmt.Errorf("the current revision is wrong: %v was told before", c.floors[op])
	case op.Compact.Response.Floor < rev || op.Compact.Response.Floor > max(rev, possible):
		return errors.New("the floor is wrong")
	}
	return nil
}

// reads are the revisions that an operation names to read at.
func reads(op *Op) []kv.Revision {
	if op.Range != nil {
		return named(nil, []kv.Op{{Range: op.Range}})
	}
	if op.Txn == nil {
		return nil
	}
	return named(named(nil, op.Txn.Success), op.Txn.Failure)
}

func named(list []kv.Revision, ops []kv.Op) []kv.Revision {
	for _, o := range ops {
		switch {
		case o.Range != nil && o.Range.Revision != 0:
			list = append(list, o.Range.Revision)
		case o.Txn != nil:
			list = named(named(list, o.Txn.Success), o.Txn.Failure)
		}
	}
	return list
}

func lowestRead(op *Op) (kv.Revision, bool) { return lowest(reads(op)) }

// lowestDone is the lowest revision that an answered operation surely read at.
func lowestDone(op *Op) (kv.Revision, bool) {
	if op.Range != nil {
		return lowestRead(op)
	}
	branch := op.Txn.Failure
	if op.TxnResponse.Succeeded {
		branch = op.Txn.Success
	}
	var list []kv.Revision
	for _, o := range branch {
		if o.Range != nil {
			list = named(list, []kv.Op{o})
		}
	}
	return lowest(list)
}

func lowest(list []kv.Revision) (rev kv.Revision, any bool) {
	for i, r := range list {
		if i == 0 || r < rev {
			rev = r
		}
	}
	return rev, len(list) > 0
}

func highestRead(op *Op) (rev kv.Revision) {
	for _, r := range reads(op) {
		rev = max(rev, r)
	}
	return rev
}
