package mvcc

import (
	"bytes"

	"github.com/miruvor/miruvor/internal/kv"
)

// Recent remembers the newest applied versions of keys that were looked up
// lately, so that a point read, and a put that needs the version before, costs no
// seek in the engine. It belongs to one shard's replica and one goroutine. A nil
// Recent remembers nothing.
//
// What it says is always what the engine would say once the batch that is being
// gathered is committed: Apply tells it what changes, and until Settle it learns
// nothing from the engine, which does not have the batch yet.
//
// It forgets by generations: what was not used while the younger half filled up
// goes with the older one.
type Recent struct {
	young, old map[string]*remembered
	bounds     RecentBounds
	// bytes are those of young; each generation has half of BytesMax.
	bytes     int
	unsettled bool
	// through is the highest revision that the engine has.
	through kv.Revision
	// stale makes a mutant of it, which misses every eighth change.
	stale   bool
	changes int
}

// remembered is a key's newest version; not found, it never had one.
type remembered struct {
	v     version
	found bool
}

// RecentBounds are the limits of a Recent.
type RecentBounds struct {
	// BytesMax is about what it remembers at most, ValueBytesMax the longest value.
	BytesMax, ValueBytesMax int
}

// recentOverhead is about what a key takes beside its bytes.
const recentOverhead = 160

// NewRecent remembers nothing yet, over an engine that holds revisions up to and
// including through.
func NewRecent(bounds RecentBounds, through kv.Revision) *Recent {
	return &Recent{
		young: map[string]*remembered{}, old: map[string]*remembered{},
		bounds: bounds, through: through,
	}
}

// Spoil makes r miss changes, to prove that tests notice.
func (r *Recent) Spoil() { r.stale = true }

// Clear forgets everything: the state was replaced by one through a revision.
func (r *Recent) Clear(through kv.Revision) {
	clear(r.young)
	clear(r.old)
	r.bytes, r.through = 0, through
}

// Len is how many keys it remembers something of.
func (r *Recent) Len() int { return len(r.young) + len(r.old) }

// Settle follows the commit of what was applied, up to and including through.
func (r *Recent) Settle(through kv.Revision) { r.unsettled, r.through = false, through }

// applied takes note of writes that were added to a batch.
func (r *Recent) applied(rev kv.Revision, writes []Write) {
	if r == nil {
		return
	}
	r.unsettled = true
	for i := range writes {
		w := &writes[i]
		if r.changes++; r.stale && r.changes%8 == 0 {
			continue
		}
		if r.find(w.Key) != nil {
			r.keep(inFlight(w, rev), true)
		}
	}
}

// lookup is the newest version of key, if it is remembered and not above at.
func (r *Recent) lookup(key []byte, at kv.Revision) (v version, found, known bool) {
	if r == nil {
		return v, false, false
	}
	e := r.find(key)
	if e == nil || e.v.mod > at {
		return v, false, false
	}
	return e.v, e.found, true
}

// find is what is remembered of key, which is young again thereby.
func (r *Recent) find(key []byte) *remembered {
	if e, ok := r.young[string(key)]; ok {
		return e
	}
	e, ok := r.old[string(key)]
	if ok {
		delete(r.old, string(key))
		r.add(e)
	}
	return e
}

// wants reports whether a look at a revision tells the newest version.
func (r *Recent) wants(at kv.Revision) bool { return r != nil && !r.unsettled && at >= r.through }

// keep remembers a copy of a key's newest version, or that it has none. One that is
// too large is not remembered, nor is then the one before.
func (r *Recent) keep(v version, found bool) {
	if len(v.Value) > r.bounds.ValueBytesMax {
		r.forget(v.key)
		return
	}
	v.key, v.Value = bytes.Clone(v.key), bytes.Clone(v.Value)
	r.forget(v.key)
	r.add(&remembered{v: v, found: found})
}

func (r *Recent) forget(key []byte) {
	if e, ok := r.young[string(key)]; ok {
		r.bytes -= e.size()
		delete(r.young, string(key))
	}
	delete(r.old, string(key))
}

func (r *Recent) add(e *remembered) {
	if r.bytes += e.size(); r.bytes > r.bounds.BytesMax/2 {
		clear(r.old)
		r.young, r.old = r.old, r.young
		r.bytes = e.size()
	}
	r.young[string(e.v.key)] = e
}

func (e *remembered) size() int { return len(e.v.key) + len(e.v.Value) + recentOverhead }
