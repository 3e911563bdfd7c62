package raftlog

import (
	"encoding/binary"
	"fmt"
	"math"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/miruvor/miruvor/internal/kv"
)

const (
	// recordBytesGoal is where entries go on in another record: it bounds
	// what a read of a single entry costs.
	recordBytesGoal = 64 << 10
	// batchBytesGoal is where records go on in another batch.
	batchBytesGoal = 4 << 20
	// deadSegmentsMax is how many dead segments wait before the head ends
	// early for their sake.
	deadSegmentsMax = 4
	// recordBytesMax bounds what one Record may take on disk.
	recordBytesMax = 1 << 30
)

// zeros is room for headers and padding.
var zeros [batchHeaderBytes]byte

// batch gathers what one write puts into the file and, beside that, what it
// changes in the groups once it is there.
type batch struct {
	buf     []byte
	records uint32
	changes []change
}

// change is one step of a batch, for one group. Offsets are relative to the
// batch until it has a place.
type change struct {
	group *Group
	kind  recordKind
	run   run
	// entries are those of run, for the cache.
	entries []*raftpb.Entry
	pos     Position
	hard    hardState
	freed   []run
}

// Append writes records to the file, in order, and makes them visible to the
// groups' readers at once; only Sync makes them durable. On disk each Record is
// atomic. One goroutine calls it at a time; it does not keep recs.
//
// A Record that is not a continuation of its group's log is an error and
// nothing is written; that is a bug of the caller. A failed write is final:
// the process has to stop.
func (l *Log) Append(recs []Record) error {
	l.turn.Lock()
	defer l.turn.Unlock()
	if l.broken != nil {
		return l.broken
	}
	if err := l.check(recs); err != nil {
		return err
	}
	if err := l.breakOn(l.append(recs)); err != nil {
		return err
	}
	l.evict()
	l.updateStats()
	return nil
}

func (l *Log) append(recs []Record) error {
	for _, g := range l.takeUnsaved() {
		if g.isUnsaved() {
			l.batch.addPosition(g)
		}
	}
	before := l.files.nextSeq
	var bytes int64
	for i := range recs {
		start := len(l.batch.buf)
		l.batch.add(l.Group(recs[i].Shard), &recs[i])
		bytes += int64(len(l.batch.buf) - start)
		if len(l.batch.buf) >= batchBytesGoal {
			if err := l.flush(); err != nil {
				return err
			}
		}
	}
	if err := l.flush(); err != nil {
		return err
	}
	// Only now do the groups show what a copy has to hold.
	if err := l.rewrite(bytes); err != nil {
		return err
	}
	if err := l.flush(); err != nil {
		return err
	}
	// Dead segments usually wait for the head to fill up.
	if l.files.dead() > deadSegmentsMax {
		if err := l.files.rotate(0); err != nil {
			return err
		}
	}
	l.stats.countAppend(l.files.nextSeq-before, bytes)
	return nil
}

// check refuses records that do not continue their groups' logs.
func (l *Log) check(recs []Record) error {
	l.round++
	for i := range recs {
		if err := l.Group(recs[i].Shard).check(l.round, &recs[i]); err != nil {
			return err
		}
	}
	return nil
}

// check follows what the records of one round do to the group.
func (g *Group) check(round uint64, rec *Record) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := &g.tentative
	if t.round != round {
		*t = tentative{round: round, base: g.base.Index, end: g.last}
	}
	if rec.Remove {
		if rec.Reset != nil || rec.Entries != nil || rec.Hard != nil {
			return kv.Invalid("%v: a record that removes the group has other parts", g.shard)
		}
		t.base, t.end = 0, 0
	}
	if rec.Reset != nil {
		t.base, t.end = rec.Reset.Index, rec.Reset.Index
	}
	if len(rec.Entries) == 0 {
		return nil
	}
	first := rec.Entries[0].GetIndex()
	if first <= t.base || first > t.end+1 {
		return kv.Invalid("%v: entries begin at %d, the log holds %d to %d",
			g.shard, first, t.base+1, t.end)
	}
	var bytes int64
	for i, e := range rec.Entries {
		if e.GetIndex() != first+uint64(i) {
			return kv.Invalid("%v: entry %d follows %d", g.shard, e.GetIndex(), first+uint64(i)-1)
		}
		bytes += int64(len(e.Data)) + 32
	}
	if bytes > recordBytesMax {
		return kv.Invalid("%v: %d bytes of entries, the bound is %d",
			g.shard, bytes, recordBytesMax)
	}
	t.end = first + uint64(len(rec.Entries)) - 1
	return nil
}

// begin starts a record and returns where it lies in the batch.
func (b *batch) begin(kind recordKind, g *Group) int {
	if len(b.buf) == 0 {
		b.buf = append(b.buf, zeros[:batchHeaderBytes]...)
	}
	start := len(b.buf)
	b.buf = beginRecord(b.buf, kind, g.shard)
	b.records++
	return start
}

// add encodes one Record.
func (b *batch) add(g *Group, rec *Record) {
	if rec.Remove {
		endRecord(b.buf, b.beginSimple(kindRemove, change{group: g}))
	}
	if p := rec.Reset; p != nil {
		start := b.beginSimple(kindReset, change{group: g, pos: *p})
		b.buf = appendPosition(b.buf, *p)
		endRecord(b.buf, start)
	}
	for rest := rec.Entries; len(rest) > 0; {
		rest = rest[b.addEntries(g, rest):]
	}
	if h := rec.Hard; h != nil {
		hard := hardState{term: h.GetTerm(), vote: h.GetVote(), commit: h.GetCommit()}
		start := b.beginSimple(kindHard, change{group: g, hard: hard})
		b.buf = appendHard(b.buf, hard)
		endRecord(b.buf, start)
	}
}

func (b *batch) beginSimple(kind recordKind, c change) int {
	c.kind = kind
	b.changes = append(b.changes, c)
	return b.begin(kind, c.group)
}

// addEntries encodes a first part of entries, all of one term, as a record and
// returns how many.
func (b *batch) addEntries(g *Group, entries []*raftpb.Entry) int {
	n, size, term := 0, 0, entries[0].GetTerm()
	for n < len(entries) && entries[n].GetTerm() == term && (n == 0 || size < recordBytesGoal) {
		size += len(entries[n].Data)
		n++
	}
	start := b.begin(kindEntries, g)
	b.beginEntries(entries[0].GetIndex(), uint64(n), term)
	from := len(b.buf)
	for _, e := range entries[:n] {
		b.buf = appendEntry(b.buf, e)
	}
	endRecord(b.buf, start)
	b.changes = append(b.changes, change{
		group: g, kind: kindEntries, entries: entries[:n],
		run: run{
			first: entries[0].GetIndex(), term: term, count: uint32(n),
			offset: uint32(start), length: uint32(len(b.buf) - start),
			bytes: uint32(len(b.buf) - from),
		},
	})
	return n
}

// beginEntries puts the head of a payload of entries.
func (b *batch) beginEntries(first, count, term uint64) {
	b.buf = binary.AppendUvarint(b.buf, first)
	b.buf = binary.AppendUvarint(b.buf, count)
	b.buf = binary.AppendUvarint(b.buf, term)
}

// addPosition encodes where the log of a truncated group begins now.
func (b *batch) addPosition(g *Group) {
	g.mu.Lock()
	c := change{group: g, pos: g.base, hard: g.hard, freed: g.freed}
	g.freed, g.unsaved = nil, false
	g.mu.Unlock()
	start := b.beginSimple(kindState, c)
	b.buf = appendHard(appendPosition(b.buf, c.pos), c.hard)
	endRecord(b.buf, start)
}

// flush writes the batch, if there is one, and applies its changes.
func (l *Log) flush() error {
	b := &l.batch
	if b.records == 0 {
		return nil
	}
	bodyBytes := len(b.buf) - batchHeaderBytes
	if bodyBytes > math.MaxInt32 {
		return fmt.Errorf("raft log batch of %d bytes", bodyBytes)
	}
	padding := int(alignUp(int64(len(b.buf)))) - len(b.buf)
	b.buf = append(b.buf, zeros[:padding]...)
	if err := l.files.write(b.buf, b.records, bodyBytes); err != nil {
		return err
	}
	head := l.files.head()
	at := uint32(head.end - int64(len(b.buf)))
	for i := range b.changes {
		b.changes[i].apply(head, at)
	}
	b.reset()
	return nil
}

func (b *batch) reset() {
	clear(b.changes)
	b.changes, b.records = b.changes[:0], 0
	if cap(b.buf) > 2*batchBytesGoal {
		b.buf = nil
	}
	b.buf = b.buf[:0]
}

// apply makes a change visible: its batch lies at offset at of seg.
func (c *change) apply(seg *segment, at uint32) {
	c.run.seg = seg
	c.run.offset += at
	switch c.kind {
	case kindEntries:
		c.group.appendRun(c.run, c.entries)
	case kindMoved:
		c.group.moveRun(c.run)
	case kindHard:
		c.group.setHard(c.hard, seg)
	case kindState:
		c.group.saved(c.freed, seg)
	case kindReset:
		c.group.reset(c.pos, seg)
	case kindRemove:
		c.group.remove()
	}
}
