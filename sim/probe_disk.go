package sim

import (
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/raftlog"
)

// stage is how far a disk is with a group of saves.
type stage uint8

const (
	atRest stage = iota
	installed
	appended
)

// appends looks at records before they are appended: which entries do they replace?
func (p *probe) appends(n *node, records []raftlog.Record) {
	for i := range records {
		rec := &records[i]
		if len(rec.Entries) == 0 || rec.Reset != nil {
			continue
		}
		p.replaces(n.log.Group(rec.Shard), rec.Entries)
	}
}

func (p *probe) replaces(g *raftlog.Group, entries []*raftpb.Entry) {
	first := entries[0].GetIndex()
	last, err := g.LastIndex()
	if err != nil || last < first {
		return
	}
	begin, err := g.FirstIndex()
	if err != nil || begin > first {
		return
	}
	terms := map[uint64]bool{}
	for i := first; i <= last; i++ {
		if term, err := g.Term(i); err == nil && term != entries[0].GetTerm() {
			terms[term] = true
		}
	}
	if len(terms) == 0 {
		return
	}
	p.reached(ConflictingTail)
	if len(terms) > 1 {
		p.reached(ConflictingTerms)
	}
	old, err := g.Entries(first, last+1, 1<<20)
	if err != nil {
		return
	}
	for _, e := range old {
		if e.GetType() != raftpb.EntryNormal {
			p.reached(ChangeOverwritten)
			return
		}
	}
}

// crashes is called when a node is about to die.
func (p *probe) crashes(n *node) {
	if n.disk.stage == installed {
		p.reached(CrashDuringInstall)
	}
	if n.disk.stage == appended {
		for _, id := range p.c.order {
			other := p.c.nodes[id]
			if other != n && other.diedAppending && p.c.now-other.died < Time(10*time.Millisecond) {
				p.reached(TwoAtOneSync)
			}
		}
	}
	n.died, n.diedAppending = p.c.now, n.disk.stage == appended
	p.diedAmid(n)
}

// starts is called when a node has opened what its disk holds.
func (p *probe) starts(n *node) {
	for _, s := range p.c.allShards() {
		data, err := n.engine.Get(keyspace.MetaKey(nil, s.ID, keyspace.KindApplied))
		if err != nil {
			continue
		}
		applied, err := keyspace.ParseApplied(data)
		if hard := n.log.Group(s.ID).HardState(); err == nil && hard.GetCommit() > applied.Index {
			p.reached(ReplayOfLost)
			return
		}
	}
}
