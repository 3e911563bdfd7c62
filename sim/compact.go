package sim

import (
	"fmt"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// CompactOp is a compaction that a client asked for.
type CompactOp struct {
	Revision kv.Revision
	Response *wire.Compacted
}

func (o *CompactOp) String() string {
	text := fmt.Sprintf("compact at %v", o.Revision)
	if o.Response != nil {
		text += fmt.Sprintf(" = floor %v, current %v", o.Response.Floor, o.Response.Current)
	}
	return text
}

// janitor is a client that compacts, at any revision, and reads at the edges of
// what it compacted.
type janitor struct {
	c  *cluster
	id int
	// floor is the last one that it asked for.
	floor kv.Revision
}

// beginJanitors begins with the clients that compact. Their ids follow those of the
// others, and of whoever asks last.
func (c *cluster) beginJanitors() {
	for i := range c.cfg.Load.Janitors {
		j := &janitor{c: c, id: len(c.clients) + 100 + i}
		j.begin()
	}
}

// janitorThink is the mean pause between two operations of a janitor.
const janitorThink = 60 * time.Millisecond

// futureBy is how far from all others a revision is that has to be refused.
const futureBy = 100_000_000

// begin does the next operation after a while, as long as there is time.
func (j *janitor) begin() {
	c := j.c
	c.after(c.around(janitorThink), func() {
		if !c.healed {
			j.next()
		}
	})
}

func (j *janitor) next() {
	c := j.c
	n := c.anybody()
	if !n.serves() {
		j.begin()
		return
	}
	op := j.draw()
	op.ID, op.Client, op.Node = uint64(len(c.history.Ops)+1), j.id, n.id
	op.then = j.begin
	c.ask(n, op)
}

// draw makes up a compaction now and then, and else a read around the last one.
func (j *janitor) draw() *Op {
	c := j.c
	if c.chance(0.15) || j.floor == 0 {
		rev := j.target()
		if rev < j.floor+futureBy {
			j.floor = max(j.floor, rev)
		}
		return &Op{Compact: &CompactOp{Revision: rev}}
	}
	shard := c.keys.shard(c.rng)
	read := &kv.RangeRequest{
		Range: c.keys.anywhere(c.rng), Serializable: c.chance(0.2),
		Revision: max(1, j.floor+kv.Revision(c.rng.IntN(4))-1),
	}
	if c.chance(0.7) {
		return &Op{Range: read}
	}
	read.Range, read.Serializable = c.keys.within(c.rng, shard), false
	return single(kv.Op{Range: read})
}

// target is a revision to compact at: mostly one that somebody knows, and at
// times one that is refused.
func (j *janitor) target() kv.Revision {
	c := j.c
	known := kv.FirstRevision
	for _, cl := range c.clients {
		known = max(known, cl.revision)
	}
	switch c.rng.IntN(12) {
	case 0:
		return known + futureBy
	case 1:
		return max(1, j.floor-kv.Revision(c.rng.IntN(2)))
	case 2, 3:
		return known
	}
	if known <= j.floor {
		return known
	}
	return j.floor + 1 + kv.Revision(c.rng.Int64N(int64(known-j.floor)))
}
