package raftlog

import (
	"fmt"
)

// apply replays the records of a batch that lies at offset at.
func (r *replay) apply(s *segment, at int64, b scanned) error {
	offset, rest := at+batchHeaderBytes, b.body
	for n := uint32(0); n < b.header.records; n++ {
		rec, size, err := decodeRecord(rest, s.seed)
		if err == nil {
			err = r.applyRecord(rec, run{seg: s, offset: uint32(offset), length: uint32(size)})
		}
		if err != nil {
			return r.problem(s.path, offset, err.Error())
		}
		offset, rest = offset+int64(size), rest[size:]
	}
	if len(rest) > 0 {
		return r.problem(s.path, offset, fmt.Sprintf("%d bytes left over in the batch", len(rest)))
	}
	return nil
}

// applyRecord replays a record that lies at place. Until the end the groups may
// have gaps: what filled them in the dead segments is either overridden later
// or repeated later.
func (r *replay) applyRecord(rec rawRecord, place run) error {
	g := r.log.Group(rec.shard)
	in := fields{b: rec.payload}
	switch rec.kind {
	case kindEntries, kindMoved:
		return g.replayEntries(rec, place)
	case kindHard:
		hard := in.hard()
		if in.end() == nil {
			g.setHard(hard, place.seg)
		}
	case kindState:
		base, hard := in.position(), in.hard()
		if in.end() == nil {
			g.replayState(base, hard, place.seg)
		}
	case kindReset:
		base := in.position()
		if in.end() == nil {
			g.reset(base, place.seg)
		}
	case kindRemove:
		if in.end() == nil {
			g.remove()
		}
	default:
		return fmt.Errorf("record is of unknown kind %d", rec.kind)
	}
	return in.end()
}

func (g *Group) replayEntries(rec rawRecord, place run) error {
	in, err := readEntries(rec.payload)
	if err != nil {
		return err
	}
	place.first, place.term, place.count = in.index, in.term, uint32(in.left)
	place.bytes = uint32(len(in.rest.b))
	for ok := true; ok; {
		_, ok = in.next()
	}
	if err := in.end(); err != nil {
		return err
	}
	if rec.kind == kindEntries {
		g.appendRun(place, nil)
		return nil
	}
	g.moveRun(place)
	return nil
}

func (g *Group) replayState(base Position, hard hardState, seg *segment) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.base, g.hard = base, hard
	g.last = max(g.last, base.Index)
	g.dropBelowBase()
	repin(&g.baseSeg, seg)
	repin(&g.hardSeg, seg)
}

// dropBelowBase drops the runs that end at or below base.
func (g *Group) dropBelowBase() {
	unpinAll(g.index.take(g.base.Index + 1))
}

// finish checks that the group's log has no gap.
func (r *replay) finish(g *Group) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dropBelowBase()
	next := g.base.Index + 1
	for i, s := range g.index.runs {
		if s.first > next || (i > 0 && s.first < next) {
			return r.problem(s.seg.path, int64(s.offset),
				fmt.Sprintf("%v: entries begin at %d instead of %d", g.shard, s.first, next))
		}
		next = s.last() + 1
	}
	if next != g.last+1 {
		return r.problem(r.dir, 0,
			fmt.Sprintf("%v: entries end at %d instead of %d", g.shard, next-1, g.last))
	}
	return nil
}
