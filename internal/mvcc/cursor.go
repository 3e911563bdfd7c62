package mvcc

import (
	"bytes"
	"fmt"

	"github.com/tidwall/btree"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
)

// ownCursor walks a transaction's own writes. The places left are [low, high)
// in the order of keys.
type ownCursor struct {
	own       *ownWrites
	low, high int
	reverse   bool
	at        int
}

func newOwnCursor(own *ownWrites, r kv.Range, reverse bool) *ownCursor {
	low, _ := own.find(r.Start)
	high := len(own.order)
	if r.End != nil {
		high, _ = own.find(r.End)
	}
	return &ownCursor{own: own, low: low, high: high, reverse: reverse}
}

func (c *ownCursor) next() bool {
	if c.low >= c.high {
		return false
	}
	if c.reverse {
		c.high--
		c.at = c.high
	} else {
		c.at = c.low
		c.low++
	}
	return true
}

func (c *ownCursor) version() version { return c.own.version(c.at) }
func (c *ownCursor) err() error       { return nil }
func (c *ownCursor) close() error     { return nil }

// overlayCursor walks the keys in flight that have a version at or below at.
type overlayCursor struct {
	chains  btree.IterG[*chain]
	keys    kv.Range
	at      kv.Revision
	reverse bool
	started bool
	link    *link
}

func newOverlayCursor(o *Overlay, at kv.Revision, r kv.Range, reverse bool) *overlayCursor {
	return &overlayCursor{chains: o.chains.Iter(), keys: r, at: at, reverse: reverse}
}

func (c *overlayCursor) next() bool {
	for c.move() && c.keys.Contains(c.chains.Item().key) {
		if c.link = c.chains.Item().visible(c.at); c.link != nil {
			return true
		}
	}
	return false
}

func (c *overlayCursor) move() bool {
	switch {
	case c.started && c.reverse:
		return c.chains.Prev()
	case c.started:
		return c.chains.Next()
	}
	c.started = true
	switch {
	case !c.reverse:
		return c.chains.Seek(&chain{key: c.keys.Start})
	case c.keys.End != nil && c.chains.Seek(&chain{key: c.keys.End}):
		return c.chains.Prev()
	}
	return c.chains.Last()
}

func (c *overlayCursor) version() version {
	return inFlight(c.link.write, c.link.proposal.rev)
}

func (c *overlayCursor) err() error { return nil }

func (c *overlayCursor) close() error {
	c.chains.Release()
	return nil
}

// engineCursor walks the keys in the engine that have a version at or below
// at, and stands on the newest such version.
type engineCursor struct {
	iter    engine.Iterator
	at      kv.Revision
	reverse bool
	started bool
	// prefix is that of the key the cursor is at; target is a buffer.
	prefix, target []byte
	current        version
	failure        error
}

func newEngineCursor(
	r engine.Reader, at kv.Revision, keys kv.Range, reverse bool,
) (*engineCursor, error) {
	span := keyspace.VersionSpan(keys)
	iter, err := r.NewIter(span.Start, span.End)
	if err != nil {
		return nil, err
	}
	return &engineCursor{iter: iter, at: at, reverse: reverse}, nil
}

func (c *engineCursor) version() version { return c.current }
func (c *engineCursor) err() error       { return c.failure }
func (c *engineCursor) close() error     { return c.iter.Close() }

func (c *engineCursor) next() bool {
	if c.failure != nil {
		return false
	}
	found, err := c.move()
	if err == nil && !found {
		err = c.iter.Error()
	}
	c.failure = err
	return found && err == nil
}

func (c *engineCursor) move() (found bool, err error) {
	if c.reverse {
		return c.backward()
	}
	return c.forward()
}

// forward goes to the first version of the next key, and from there down to
// the one that is visible. If none is, it has arrived at another key.
func (c *engineCursor) forward() (found bool, err error) {
	for on := c.leave(); on; {
		prefix, rev, err := keyspace.SplitVersionKey(c.iter.Key())
		if err != nil {
			return false, err
		}
		if rev <= c.at {
			return true, c.take(prefix, rev)
		}
		c.target = append(c.target[:0], prefix...)
		c.target = keyspace.AppendRevision(c.target, c.at)
		on = c.advance(c.target)
	}
	return false, nil
}

// leave moves past all versions of the key that the cursor is at.
func (c *engineCursor) leave() bool {
	if !c.started {
		c.started = true
		return c.iter.First()
	}
	c.target = append(c.target[:0], c.prefix...)
	return c.iter.Leave(keyspace.AfterVersions(c.target))
}

// stepsMax is how many steps are tried before a seek. The entry looked for is
// mostly near, and a seek costs as much as many steps.
const stepsMax = 4

// advance moves to the first entry at or after target, which lies ahead.
func (c *engineCursor) advance(target []byte) bool {
	for range stepsMax {
		if !c.iter.Next() {
			return false
		}
		if bytes.Compare(c.iter.Key(), target) >= 0 {
			return true
		}
	}
	return c.iter.SeekGE(target)
}

// backward goes to the last, that is the oldest, version of the key before,
// and if that is visible, up to the newest that is.
func (c *engineCursor) backward() (found bool, err error) {
	for on := c.leaveBackward(); on; on = c.iter.SeekLT(c.prefix) {
		prefix, rev, err := keyspace.SplitVersionKey(c.iter.Key())
		if err != nil {
			return false, err
		}
		c.prefix = append(c.prefix[:0], prefix...)
		if rev <= c.at {
			return true, c.ascend()
		}
	}
	return false, nil
}

func (c *engineCursor) leaveBackward() bool {
	if !c.started {
		c.started = true
		return c.iter.Last()
	}
	return c.iter.SeekLT(c.prefix)
}

// ascend takes the newest visible version of the key at c.prefix.
func (c *engineCursor) ascend() error {
	c.target = append(c.target[:0], c.prefix...)
	c.target = keyspace.AppendRevision(c.target, c.at)
	if !c.iter.SeekGE(c.target) {
		if err := c.iter.Error(); err != nil {
			return err
		}
		return fmt.Errorf("%w: %x was there and is gone", kv.ErrCorrupt, c.prefix)
	}
	prefix, rev, err := keyspace.SplitVersionKey(c.iter.Key())
	if err != nil {
		return err
	}
	return c.take(prefix, rev)
}

// take makes the entry under the iterator the current version.
func (c *engineCursor) take(prefix []byte, rev kv.Revision) error {
	key, err := keyspace.UserKey(prefix)
	if err != nil {
		return err
	}
	stored, err := keyspace.ParseVersion(c.iter.Value())
	if err != nil {
		return fmt.Errorf("%q at %v: %w", key, rev, err)
	}
	c.prefix = append(c.prefix[:0], prefix...)
	c.current = version{key: key, mod: rev, Version: stored}
	return nil
}
