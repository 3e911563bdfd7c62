package replica

import (
	"cmp"
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/wire"
)

// ring holds the last events of a shard, for those who follow it closely. It
// costs nothing while nobody does.
//
// Invariant: every event above floor that this replica has applied is here.
// They lie in the order of revisions, in which they need not have been applied.
// Events are never changed, and shared by all who are fed with them.
type ring struct {
	on       bool
	floor    kv.Revision
	changes  []ringChange
	bytes    int
	bytesMax int
}

// ringChange is what one transaction did to the shard.
type ringChange struct {
	rev    kv.Revision
	events []wire.FedEvent
	bytes  int
	// withPrev are the events with the versions before them, once somebody
	// asked for those.
	withPrev []wire.FedEvent
}

// eventBytes is roughly what an event takes beside its key and value.
const eventBytes = 128

func sizeOf(e *wire.FedEvent) int {
	n := eventBytes + len(e.KV.Key) + len(e.KV.Value)
	if e.Prev != nil {
		n += len(e.Prev.Key) + len(e.Prev.Value)
	}
	return n
}

// start begins to gather. Everything up to and including applied was applied
// before.
func (g *ring) start(applied kv.Revision, bytesMax int) {
	*g = ring{on: true, floor: applied, bytesMax: bytesMax}
}

// stop forgets everything.
func (g *ring) stop() { *g = ring{} }

// add takes the writes of a transaction that is being applied, and copies them:
// they lie in a log entry, which may be much larger. subs are their places in the
// transaction; nil is 0, 1, 2 and so on.
func (g *ring) add(rev kv.Revision, writes []mvcc.Write, subs []uint32) {
	if !g.on || rev <= g.floor {
		return
	}
	c := ringChange{rev: rev, events: make([]wire.FedEvent, len(writes))}
	size := 0
	for i := range writes {
		size += len(writes[i].Key) + len(writes[i].Value)
	}
	buf := make([]byte, 0, size)
	for i := range writes {
		e := &c.events[i]
		e.Event, e.Sub = writtenEvent(rev, &writes[i]), uint32(i)
		buf, e.KV.Key = cloneInto(buf, e.KV.Key)
		buf, e.KV.Value = cloneInto(buf, e.KV.Value)
		if subs != nil {
			e.Sub = subs[i]
		}
		c.bytes += sizeOf(e)
	}
	g.bytes += c.bytes
	i := len(g.changes)
	for i > 0 && g.changes[i-1].rev > rev {
		i--
	}
	g.changes = slices.Insert(g.changes, i, c)
	for g.bytes > g.bytesMax {
		g.drop()
	}
}

// cloneInto appends b to buf and returns both.
func cloneInto(buf, b []byte) (longer, clone []byte) {
	n := len(buf)
	buf = append(buf, b...)
	return buf, buf[n:len(buf):len(buf)]
}

// drop forgets the oldest change.
func (g *ring) drop() {
	oldest := &g.changes[0]
	g.floor = oldest.rev
	g.bytes -= oldest.bytes
	*oldest = ringChange{}
	g.changes = g.changes[1:]
}

func writtenEvent(rev kv.Revision, w *mvcc.Write) kv.Event {
	e := kv.Event{KV: kv.KeyValue{Key: w.Key, ModRevision: rev}, Deleted: w.Tombstone}
	if !w.Tombstone {
		e.KV.Value, e.KV.CreateRevision = w.Value, w.Create
		e.KV.Version, e.KV.Lease = w.Version, w.Lease
	}
	return e
}

// covers reports whether all events above after are here.
func (g *ring) covers(after kv.Revision) bool { return g.on && after >= g.floor }

// collect gathers the events of keys above after, up to and including upTo, as
// many revisions as fit into bytesMax but one at least. It tells how far it came.
// prev, if not nil, is asked for the events of a change with the versions before them.
func (g *ring) collect(
	after, upTo kv.Revision, keys kv.Range, bytesMax int,
	prev func(*ringChange) []wire.FedEvent,
) ([]wire.FedEvent, kv.Revision) {
	first, _ := slices.BinarySearchFunc(g.changes, after+1, compareRevision)
	var list []wire.FedEvent
	bytes, last := 0, after
	for i := first; i < len(g.changes) && g.changes[i].rev <= upTo; i++ {
		c := &g.changes[i]
		if bytes >= bytesMax && bytes > 0 {
			return list, last
		}
		last = c.rev
		if !touches(c.events, keys) {
			continue
		}
		events := c.events
		if prev != nil {
			events = prev(c)
		}
		for j := range events {
			if keys.Contains(events[j].KV.Key) {
				list = append(list, events[j])
				bytes += sizeOf(&events[j])
			}
		}
	}
	return list, upTo
}

func compareRevision(c ringChange, rev kv.Revision) int { return cmp.Compare(c.rev, rev) }

func touches(events []wire.FedEvent, keys kv.Range) bool {
	for i := range events {
		if keys.Contains(events[i].KV.Key) {
			return true
		}
	}
	return false
}
