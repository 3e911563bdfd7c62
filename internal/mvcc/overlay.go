package mvcc

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/tidwall/btree"

	"github.com/miruvor/miruvor/internal/kv"
)

// Overlay is what a leader has proposed and not yet applied, by key. Because
// one leader proposes, in order, the overlay over the applied state is the
// state that the next transaction will find. One goroutine uses it.
//
//	proposals   seq 7      seq 8      seq 9      oldest first
//	key a       write  ←─────────────  write     a chain
//	key b                  write                 a chain
type Overlay struct {
	chains    *btree.BTreeG[*chain]
	proposals []*proposal
	// pivot is what lookups hand to chains.
	pivot chain
}

// proposal is one transaction in flight.
type proposal struct {
	seq uint64
	// rev is provisional until the proposal is numbered.
	rev   kv.Revision
	links []link
}

// chain is the writes in flight of one key.
type chain struct {
	key    []byte
	newest *link
}

// link is one write in its chain and its proposal.
type link struct {
	write        *Write
	proposal     *proposal
	chain        *chain
	older, newer *link
}

// NewOverlay returns an overlay with nothing in flight.
func NewOverlay() *Overlay {
	before := func(a, b *chain) bool { return bytes.Compare(a.key, b.key) < 0 }
	return &Overlay{chains: btree.NewBTreeGOptions(before, btree.Options{NoLocks: true})}
}

// Len is the number of proposals in flight.
func (o *Overlay) Len() int {
	return len(o.proposals)
}

// Add puts a proposal on top. Its seq is above all before it; rev is its
// revision, Provisional(seq) if it is not known yet. The overlay keeps writes,
// and sets their Create when Number is called; nobody else may change them or
// the bytes that they refer to. Nothing may be numbered between evaluating
// writes and adding them.
func (o *Overlay) Add(seq uint64, rev kv.Revision, writes []Write) {
	if n := len(o.proposals); n > 0 && o.proposals[n-1].seq >= seq {
		panic(fmt.Sprintf("mvcc: proposal %d comes after %d", seq, o.proposals[n-1].seq))
	}
	p := &proposal{seq: seq, rev: rev, links: make([]link, len(writes))}
	for i := range writes {
		l := &p.links[i]
		l.write, l.proposal = &writes[i], p
		o.push(l)
	}
	o.proposals = append(o.proposals, p)
}

// push makes l the newest of its chain.
func (o *Overlay) push(l *link) {
	c := o.chain(l.write.Key)
	if c == nil {
		l.chain = &chain{key: l.write.Key, newest: l}
		o.chains.Set(l.chain)
		return
	}
	l.chain, l.older = c, c.newest
	c.newest.newer = l
	c.newest = l
}

// chain is that of key, nil if nothing of it is in flight.
func (o *Overlay) chain(key []byte) *chain {
	o.pivot.key = key
	c, _ := o.chains.Get(&o.pivot)
	return c
}

// Number tells the revision of a proposal that was added without. It also
// becomes the Create of every write in flight that stands on a key which that
// proposal made. A seq that is not in flight is ignored.
func (o *Overlay) Number(seq uint64, rev kv.Revision) {
	i, found := o.find(seq)
	if !found {
		return
	}
	p := o.proposals[i]
	p.rev = rev
	for j := range p.links {
		for l := &p.links[j]; l != nil && l.write.Create == Provisional(seq); l = l.newer {
			l.write.Create = rev
		}
	}
}

// Done forgets the oldest proposal, which was applied. A seq below all in
// flight is ignored.
func (o *Overlay) Done(seq uint64) {
	i, found := o.find(seq)
	if i > 0 {
		panic(fmt.Sprintf("mvcc: proposal %d is applied before %d", seq, o.proposals[0].seq))
	}
	if !found {
		return
	}
	for j := range o.proposals[0].links {
		o.drop(&o.proposals[0].links[j])
	}
	o.proposals[0] = nil
	o.proposals = o.proposals[1:]
}

// drop removes l, the oldest of its chain.
func (o *Overlay) drop(l *link) {
	c := l.chain
	if l.newer == nil {
		o.chains.Delete(c)
		return
	}
	c.key = l.newer.write.Key
	l.newer.older = nil
}

// DropFrom forgets the proposal seq and all above it, which will never happen.
func (o *Overlay) DropFrom(seq uint64) {
	first, _ := o.find(seq)
	for i := len(o.proposals) - 1; i >= first; i-- {
		links := o.proposals[i].links
		for j := range links {
			o.undo(&links[j])
		}
		o.proposals[i] = nil
	}
	o.proposals = o.proposals[:first]
}

// undo removes l, the newest of its chain.
func (o *Overlay) undo(l *link) {
	c := l.chain
	if l.older == nil {
		o.chains.Delete(c)
		return
	}
	c.newest = l.older
	l.older.newer = nil
}

// Clear forgets everything in flight.
func (o *Overlay) Clear() {
	o.chains.Clear()
	o.proposals = nil
}

// find is the place of a proposal, or where it would be.
func (o *Overlay) find(seq uint64) (i int, found bool) {
	return slices.BinarySearchFunc(o.proposals, seq, func(p *proposal, seq uint64) int {
		switch {
		case p.seq < seq:
			return -1
		case p.seq > seq:
			return 1
		}
		return 0
	})
}

// visible is the newest write of the chain at or below at, nil if there is
// none.
func (c *chain) visible(at kv.Revision) *link {
	l := c.newest
	for l != nil && l.proposal.rev > at {
		l = l.older
	}
	return l
}

// LastOverlap is the newest proposal in flight that writes a key of r and
// could commit at or below at: it is numbered so, or not numbered yet.
func (o *Overlay) LastOverlap(r kv.Range, at kv.Revision) (seq uint64, ok bool) {
	highest := o.lastAt(at)
	if highest == 0 || r.Empty() {
		return 0, false
	}
	if r.IsPoint() {
		if c := o.chain(r.Start); c != nil {
			seq = c.lastAt(at)
		}
		return seq, seq != 0
	}
	o.pivot.key = r.Start
	o.chains.Ascend(&o.pivot, func(c *chain) bool {
		if r.End != nil && bytes.Compare(c.key, r.End) >= 0 {
			return false
		}
		seq = max(seq, c.lastAt(at))
		return seq < highest
	})
	return seq, seq != 0
}

// lastAt is the newest proposal that could commit at or below at, 0 for none.
func (o *Overlay) lastAt(at kv.Revision) uint64 {
	for i := len(o.proposals) - 1; i >= 0; i-- {
		if o.proposals[i].couldCommitAt(at) {
			return o.proposals[i].seq
		}
	}
	return 0
}

func (c *chain) lastAt(at kv.Revision) uint64 {
	for l := c.newest; l != nil; l = l.older {
		if l.proposal.couldCommitAt(at) {
			return l.proposal.seq
		}
	}
	return 0
}

func (p *proposal) couldCommitAt(at kv.Revision) bool {
	return p.rev <= at || IsProvisional(p.rev)
}
