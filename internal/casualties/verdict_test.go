package casualties

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/replica"
)

// observe holds what must be true at any moment.
func (st *stage) observe(h *host) {
	for _, s := range st.allShards() {
		r := h.replica(s.ID)
		if r == nil {
			continue
		}
		h.observe(s.ID, r)
		if r.Leader() != h.id {
			continue
		}
		key := termOf{s.ID, r.Term()}
		if other, ok := st.terms[key]; ok && other != h.id {
			st.failf("%v has two leaders in term %d: %v and %v", key.shard, key.term, other, h.id)
		}
		st.terms[key] = h.id
	}
}

// seen is what was last seen of a replica, in a life of its node.
type seen struct {
	boot            int
	applied, closed kv.Revision
}

// observe holds a replica against what was last seen of it: what it closed stays so.
func (h *host) observe(shard kv.ShardID, r *replica.Replica) {
	before, now := h.seen[shard], seen{h.boot, r.Applied().Revision, r.Closed()}
	h.seen[shard] = now
	switch {
	case before.boot != now.boot:
	case now.closed < before.closed:
		h.st.failf("%v %v: closed goes back from %v to %v", h.id, shard, before.closed, now.closed)
	case now.applied > before.applied && now.applied <= before.closed:
		h.st.failf("%v %v: %v is applied, but %v was closed", h.id, shard, now.applied,
			before.closed)
	}
}

// agree ends a scene: everything is well again, and then all nodes hold the same, byte
// for byte, which makes sense, and has every write that was answered.
func (st *stage) agree() {
	st.join()
	st.grounded = false
	for _, h := range st.hosts {
		h.slow = false
		switch {
		case h.member == nil:
			h.start()
		case h.paused:
			h.resume()
		}
	}
	st.until("a healthy cluster", 60*time.Second, st.healthy)
	for _, s := range st.allShards() {
		st.compare(s)
	}
	st.recall()
}

// healthy reports whether all replicas are there, vote, and have applied the same.
func (st *stage) healthy() bool {
	for _, s := range st.allShards() {
		l := st.leaderOf(s.ID)
		if l == nil || l.replica(s.ID).Descriptor().Voters() != len(s.Nodes) {
			return false
		}
		for _, id := range s.Nodes {
			r := st.host(id).replica(s.ID)
			if r == nil || r.Applied() != l.replica(s.ID).Applied() {
				return false
			}
		}
	}
	return len(st.letters) == 0
}

// compare fails unless a shard is the same on all its nodes, and sound.
func (st *stage) compare(s placement.Shard) {
	var first [][2][]byte
	for i, id := range s.Nodes {
		pairs := st.host(id).pairs(s)
		if i == 0 {
			first = pairs
			continue
		}
		for j := range max(len(pairs), len(first)) {
			switch {
			case j >= len(pairs) || j >= len(first):
				st.failf("%v has %d pairs on %v, and %d on %v", s.ID, len(first), s.Nodes[0],
					len(pairs), id)
			case !bytes.Equal(pairs[j][0], first[j][0]), !bytes.Equal(pairs[j][1], first[j][1]):
				st.failf("%v differs: %q on %v, %q on %v", s.ID, first[j], s.Nodes[0], pairs[j], id)
			}
		}
	}
	if s.ID == kv.SystemShard {
		return
	}
	h := st.host(s.Nodes[0])
	for problem, err := range mvcc.Check(h.engine, s.ID, s.Range, h.replica(s.ID).Compacted()) {
		st.must(err)
		st.failf("%v: %v", s.ID, problem)
	}
}

// pairs is everything that the node holds of a shard.
func (h *host) pairs(s placement.Shard) [][2][]byte { return h.pairsOf(h.engine, s) }

// pairsOf is pairs in a state of the engine.
func (h *host) pairsOf(r engine.Reader, s placement.Shard) [][2][]byte {
	var list [][2][]byte
	for _, span := range keyspace.Spans(s.ID, s.Range) {
		it, err := r.NewIter(span.Start, span.End)
		h.st.must(err)
		for ok := it.First(); ok; ok = it.Next() {
			list = append(list, [2][]byte{bytes.Clone(it.Key()), bytes.Clone(it.Value())})
		}
		h.st.must(errors.Join(it.Error(), it.Close()))
	}
	return list
}

func equal(a, b [][2][]byte) bool {
	return slices.EqualFunc(a, b, func(x, y [2][]byte) bool {
		return bytes.Equal(x[0], y[0]) && bytes.Equal(x[1], y[1])
	})
}

// recall fails unless every put that was answered can be read at its revision, if that
// is not compacted.
func (st *stage) recall() {
	h := st.hosts[0]
	floor := kv.Revision(0)
	for _, s := range st.allShards() {
		floor = max(floor, h.replica(s.ID).Compacted())
	}
	for rev, o := range st.writes {
		if rev < floor {
			continue
		}
		for _, part := range o.Txn.Success {
			if part.Put == nil {
				continue
			}
			if got := h.at(string(part.Put.Key), rev); got != string(part.Put.Value) {
				st.failf("%q was answered to be %q at %v, and is %q", part.Put.Key,
					part.Put.Value, rev, got)
			}
		}
	}
}
