package raftlog

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/miruvor/miruvor/internal/kv"
)

// modelGroup is what a group's log should hold. Entries stay in terms when they
// are truncated, since a crash may bring them back.
type modelGroup struct {
	base, last uint64
	baseTerm   uint64
	// floor is the last reset: nothing at or below it may ever come back.
	floor uint64
	terms map[uint64]uint64
	hard  hardState
}

// model is a simple log of several groups.
type model map[kv.ShardID]*modelGroup

func (m model) group(shard kv.ShardID) *modelGroup {
	if m[shard] == nil {
		m[shard] = &modelGroup{terms: map[uint64]uint64{}}
	}
	return m[shard]
}

func (m model) clone() model {
	out := model{}
	for shard, g := range m {
		c := *g
		c.terms = maps.Clone(g.terms)
		out[shard] = &c
	}
	return out
}

func (m model) apply(rec Record) {
	g := m.group(rec.Shard)
	if rec.Remove {
		*g = modelGroup{terms: map[uint64]uint64{}}
	}
	if p := rec.Reset; p != nil {
		g.base, g.last, g.floor, g.baseTerm = p.Index, p.Index, p.Index, p.Term
		g.terms = map[uint64]uint64{p.Index: p.Term}
	}
	for _, e := range rec.Entries {
		g.terms[e.GetIndex()] = e.GetTerm()
		g.last = e.GetIndex()
	}
	if h := rec.Hard; h != nil {
		g.hard = hardState{term: h.GetTerm(), vote: h.GetVote(), commit: h.GetCommit()}
	}
}

func (m model) truncate(shard kv.ShardID, index uint64) {
	g := m.group(shard)
	g.base, g.baseTerm = index, g.terms[index]
}

// diff says how the log differs from the model, "" if it does not. A crashed
// log may begin lower than the model, where it was truncated.
func (m model) diff(l *Log, crashed bool) string {
	for shard, g := range m {
		if d := g.diff(l.Group(shard), crashed); d != "" {
			return fmt.Sprintf("%v: %s", shard, d)
		}
	}
	return ""
}

func (m *modelGroup) diff(g *Group, crashed bool) string {
	first, _ := g.FirstIndex()
	last, _ := g.LastIndex()
	hard := g.HardState()
	if h := (hardState{hard.GetTerm(), hard.GetVote(), hard.GetCommit()}); h != m.hard {
		return fmt.Sprintf("hard state %v, want %v", h, m.hard)
	}
	base := first - 1
	if last != m.last || base > m.base || base < m.floor || (!crashed && base != m.base) {
		return fmt.Sprintf("log is %d..%d, want %d..%d (or from %d)", first, last,
			m.base+1, m.last, m.floor+1)
	}
	if term, err := g.Term(base); err != nil || term != m.terms[base] {
		return fmt.Sprintf("term before the first is %d, %v, want %d", term, err, m.terms[base])
	}
	entries, err := g.Entries(first, last+1, 1<<40)
	if err != nil {
		return err.Error()
	}
	if uint64(len(entries)) != last-base {
		return fmt.Sprintf("%d entries in %d..%d", len(entries), first, last)
	}
	for i, e := range entries {
		index := first + uint64(i)
		if d := m.diffEntry(g, index, e); d != "" {
			return d
		}
	}
	return ""
}

func (m *modelGroup) diffEntry(g *Group, index uint64, e *raftpb.Entry) string {
	want := m.terms[index]
	term, err := g.Term(index)
	prefix := fmt.Sprintf("%d/%d ", index, want)
	if err != nil || term != want || e.GetTerm() != want || e.GetIndex() != index ||
		!bytes.HasPrefix(e.Data, []byte(prefix)) {
		return fmt.Sprintf("entry %d has terms %d and %d (%v), want %d", index, term,
			e.GetTerm(), err, want)
	}
	return ""
}

// randomRecord makes a record that continues the model's log.
func (m model) randomRecord(rng *rand.Rand, shards, size int) Record {
	shard := kv.ShardID(rng.IntN(shards))
	g := m.group(shard)
	rec := Record{Shard: shard}
	if rng.IntN(60) == 0 {
		rec.Remove = true
		return rec
	}
	next := g.last + 1
	if rng.IntN(40) == 0 {
		index := g.last + uint64(rng.IntN(20)) + 1
		rec.Reset = &Position{Index: index, Term: g.hard.term + 1}
		next = index + 1
	} else if g.last > g.base && rng.IntN(6) == 0 {
		next = g.base + 1 + rng.Uint64N(g.last-g.base)
	}
	if rng.IntN(4) > 0 {
		for term := g.hard.term + rng.Uint64N(2); rng.IntN(4) > 0; term++ {
			more := makeEntries(next, 1+rng.IntN(5), term, rng.IntN(size))
			rec.Entries = append(rec.Entries, more...)
			next += uint64(len(more))
		}
	}
	if rng.IntN(2) == 0 || len(rec.Entries) == 0 {
		rec.Hard = makeHard(g.hard.term+rng.Uint64N(2), rng.Uint64N(3), g.last)
	}
	return rec
}
