package sim

import (
	"errors"

	"github.com/miruvor/miruvor/internal/kv"
)

// checkRefusals checks that who was told of a missing key, of which it wanted to keep the
// value or the lease, was told so at a moment when there was none.
func (c *checker) checkRefusals() error {
	for _, op := range c.history.Ops {
		if op.Txn == nil || !errors.Is(op.Err, kv.ErrKeyNotFound) {
			continue
		}
		if !c.everMissing(op) {
			return errors.New("refused although no key was missing\n" + op.String())
		}
	}
	return nil
}

// everMissing reports whether a transaction found a key missing in one of the states that
// it may have been evaluated in.
func (c *checker) everMissing(op *Op) bool {
	floor, ceiling := c.floors[op], c.ceiling(op)
	at := floor
	for i := 0; ; i++ {
		v := &view{model: c.model, at: at, rev: at + 1}
		if v.run(op.Txn); v.missing {
			return true
		}
		for i < len(c.history.Commits) && c.history.Commits[i].Revision <= at {
			i++
		}
		if i == len(c.history.Commits) || c.history.Commits[i].Revision > ceiling {
			return false
		}
		at = c.history.Commits[i].Revision
	}
}

// ceiling is a revision that no state was beyond when an operation ended: who began after
// that and was answered has none below.
func (c *checker) ceiling(op *Op) kv.Revision {
	ceiling := kv.RevisionMax
	for _, other := range c.history.Ops {
		later := other.Fate() == Done && other.Begin > op.End && op.End > 0
		if later && (other.Txn != nil || other.Range != nil && !other.Range.Serializable) {
			ceiling = min(ceiling, other.Revision())
		}
	}
	return ceiling
}
