package casualties

import (
	"fmt"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/watch"
	"github.com/miruvor/miruvor/internal/wire"
)

// setting is what a stage is made of. The zero value is three nodes with one
// data shard.
type setting struct {
	nodes   int
	splitAt []string
	mode    replica.ReadMode
	// bounds and watches, if set, change the bounds of a real node.
	bounds  func(*replica.Bounds)
	watches func(*watch.Bounds)
	// pebble gives the nodes the engine of real ones.
	pebble bool
	bug    mutant.Mutant
}

// stage is a cluster on which a scene is played.
type stage struct {
	t      testing.TB
	set    setting
	now    wire.Instant
	shards placement.Map
	hosts  []*host
	mail
	// flights are snapshots under way; grounded keeps them there.
	flights  []*flight
	grounded bool
	// told is the highest revision that a client was told, writes those that
	// were answered.
	told   kv.Revision
	writes map[kv.Revision]*op
	terms  map[termOf]kv.NodeID
	lastOp uint64
}

// termOf is a term of a shard's group, which has one leader at most.
type termOf struct {
	shard kv.ShardID
	term  uint64
}

func newStage(t testing.TB, set setting) *stage {
	if set.nodes == 0 {
		set.nodes = 3
	}
	st := &stage{
		t: t, set: set, now: wire.Instant(1000 * time.Second),
		mail:   mail{cut: map[link]bool{}},
		writes: map[kv.Revision]*op{}, terms: map[termOf]kv.NodeID{},
	}
	layout := placement.Layout{Shards: 1 + len(set.splitAt), Replicas: min(3, set.nodes)}
	for i := range set.nodes {
		layout.Nodes = append(layout.Nodes, kv.NodeID(i+1))
	}
	for _, key := range set.splitAt {
		layout.SplitAt = append(layout.SplitAt, []byte(key))
	}
	var err error
	if st.shards, err = layout.Build(); err != nil {
		t.Fatal(err)
	}
	for _, id := range layout.Nodes {
		h := &host{st: st, id: id, seen: map[kv.ShardID]seen{}}
		h.format()
		st.hosts = append(st.hosts, h)
	}
	return st
}

// raise starts all nodes, and waits until every shard is led where it should be.
func (st *stage) raise() {
	for _, h := range st.hosts {
		h.start()
	}
	st.until("the first leaders", 20*time.Second, func() bool {
		for _, s := range st.allShards() {
			if l := st.leaderOf(s.ID); l == nil || l.id != s.Nodes[0] {
				return false
			}
		}
		return true
	})
}

func (st *stage) close() {
	for _, h := range st.hosts {
		if h.log != nil {
			_ = h.log.Close()
		}
		st.ground(h)
		h.closeEngine()
	}
}

// failf ends the scene.
func (st *stage) failf(format string, args ...any) {
	panic(failure{fmt.Errorf(format, args...)})
}

func (st *stage) must(err error) {
	if err != nil {
		st.failf("%w", err)
	}
}

func (st *stage) host(id kv.NodeID) *host { return st.hosts[id-1] }

func (st *stage) allShards() []placement.Shard {
	return append([]placement.Shard{st.shards.System}, st.shards.Shards...)
}

// leaderOf is the node that leads a shard and serves, nil if there is none. Of
// two, which is possible for a moment, it is that of the later term.
func (st *stage) leaderOf(shard kv.ShardID) *host {
	var best *host
	for _, h := range st.hosts {
		r := h.replica(shard)
		if r == nil || h.paused || !r.Leading() {
			continue
		}
		if best == nil || r.Term() > best.replica(shard).Term() {
			best = h
		}
	}
	return best
}

// leader is leaderOf, and fails if there is none.
func (st *stage) leader(shard kv.ShardID) *host {
	h := st.leaderOf(shard)
	if h == nil {
		st.failf("nobody leads %v", shard)
	}
	return h
}

// others are the hosts but for some.
func (st *stage) others(but ...*host) []*host {
	var list []*host
next:
	for _, h := range st.hosts {
		for _, b := range but {
			if h == b {
				continue next
			}
		}
		list = append(list, h)
	}
	return list
}

// tick is that of a real node.
const tick = 50 * time.Millisecond

// wait lets time pass, with ticks on all nodes that run.
func (st *stage) wait(d time.Duration) {
	for ; d > 0; d -= tick {
		st.now += wire.Instant(min(tick, d))
		for _, h := range st.hosts {
			h.tick()
		}
		st.settle()
	}
}

// until waits for a condition, and fails if that takes too long.
func (st *stage) until(what string, limit time.Duration, done func() bool) {
	st.settle()
	for waited := time.Duration(0); !done(); waited += tick {
		if waited >= limit {
			st.failf("waited %v in vain for %s", limit, what)
		}
		st.wait(tick)
	}
}

// roundsMax bounds what can be to do at one moment.
const roundsMax = 5_000

// settle lets workers, disks and the network work until nothing is left to do
// at this moment.
func (st *stage) settle() {
	for range roundsMax {
		if !st.round() {
			return
		}
	}
	st.failf("the cluster does not come to rest")
}

// round lets everybody do something, and reports whether anything happened.
func (st *stage) round() bool {
	busy, sent := st.deliver(), st.sent
	for _, h := range st.hosts {
		h.pass()
		busy = h.disk() || busy
	}
	return st.fly() || busy || st.sent > sent
}
