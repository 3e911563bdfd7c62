package mvcc

import (
	"bytes"
	"cmp"
	"errors"

	"github.com/miruvor/miruvor/internal/kv"
)

// ErrPending means that the answer to a compare depends on a revision that is
// not known yet: evaluate again once the proposals in flight are numbered.
var ErrPending = errors.New("mvcc: a compare waits for a revision")

// verdict is the outcome of a compare. Unknown is what ErrPending is about.
type verdict uint8

const (
	holds verdict = iota
	fails
	unknown
)

// decide evaluates the compares of req, and those of the transactions in the
// branch that will run, all in the state before any write.
func (e *evaluator) decide(req *kv.TxnRequest) error {
	succeeded, err := e.compareAll(req.Compares)
	if err != nil {
		return err
	}
	e.path = append(e.path, succeeded)
	for _, op := range branch(req, succeeded) {
		if op.Txn == nil {
			continue
		}
		if err := e.decide(op.Txn); err != nil {
			return err
		}
	}
	return nil
}

// compareAll reports whether all compares hold. One that fails decides, even
// beside unknown ones.
func (e *evaluator) compareAll(compares []kv.Compare) (bool, error) {
	pending := false
	for i := range compares {
		v, err := e.compare(&compares[i])
		if err != nil {
			return false, err
		}
		if v == fails {
			return false, nil
		}
		pending = pending || v == unknown
	}
	if pending {
		return false, ErrPending
	}
	return true, nil
}

// compare looks at one key, or at every key of a range. Where there is none,
// it looks at a version that is all zero.
func (e *evaluator) compare(c *kv.Compare) (verdict, error) {
	if len(c.RangeEnd) > 0 {
		return e.compareRange(c)
	}
	v, live, err := e.live(c.Key)
	if err != nil {
		return unknown, err
	}
	if !live {
		return compareMissing(c), nil
	}
	return compareVersion(c, &v, e.view.Current), nil
}

func (e *evaluator) compareRange(c *kv.Compare) (verdict, error) {
	result, missing := holds, true
	for v, err := range e.scan(c.Keys(), false) {
		if err != nil {
			return unknown, err
		}
		missing = false
		switch compareVersion(c, &v, e.view.Current) {
		case fails:
			return fails, nil
		case unknown:
			result = unknown
		}
	}
	if missing {
		return compareMissing(c), nil
	}
	return result, nil
}

// compareMissing compares where there is no key. A value cannot equal or
// differ from what is not there, so such a compare fails.
func compareMissing(c *kv.Compare) verdict {
	if c.Target == kv.CompareValue {
		return fails
	}
	return relate(c.Relation, cmp.Compare(0, c.Number))
}

func compareVersion(c *kv.Compare, v *version, current kv.Revision) verdict {
	switch c.Target {
	case kv.CompareCreate:
		return compareRevision(c, v.Create, current)
	case kv.CompareMod:
		return compareRevision(c, v.mod, current)
	case kv.CompareVersion:
		return relate(c.Relation, cmp.Compare(v.Count, c.Number))
	case kv.CompareLease:
		return relate(c.Relation, cmp.Compare(int64(v.Lease), c.Number))
	}
	return relate(c.Relation, bytes.Compare(v.Value, c.Value))
}

// compareRevision compares a revision that may be provisional. What it will
// become is above every revision that was handed out, and below what no
// revision can be; between those two nothing is known.
func compareRevision(c *kv.Compare, rev, current kv.Revision) verdict {
	operand := kv.Revision(c.Number)
	if IsProvisional(rev) {
		switch {
		case operand <= current:
			return relate(c.Relation, +1)
		case operand > kv.RevisionMax:
			return relate(c.Relation, -1)
		}
		return unknown
	}
	return relate(c.Relation, cmp.Compare(rev, operand))
}

// relate is the verdict of a relation on the sign of a comparison.
func relate(relation kv.Relation, sign int) verdict {
	var ok bool
	switch relation {
	case kv.Equal:
		ok = sign == 0
	case kv.NotEqual:
		ok = sign != 0
	case kv.Greater:
		ok = sign > 0
	case kv.Less:
		ok = sign < 0
	}
	if ok {
		return holds
	}
	return fails
}
