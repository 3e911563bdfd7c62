package sim

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/replica"
)

// cluster is a whole run: nodes, network, clients and what goes wrong.
type cluster struct {
	*world
	cfg   Config
	nodes map[kv.NodeID]*node
	order []kv.NodeID
	layout
	network network
	keys    *keys
	crowd
	history History
	// archive is what is kept of what replicas forget.
	archive archive
	// calm tells that nothing ever goes wrong in this run, healed that nothing
	// does any more.
	calm, healed bool
	ranks
	traps
	probe *probe
}

// layout is how the keys are spread: shards is the map, every what allShards tells.
type layout struct {
	shards placement.Map
	every  []placement.Shard
}

// ranks say who leads: terms holds who led a shard in a term, leaders how many had when
// the clients began.
type ranks struct {
	terms   map[termOf]kv.NodeID
	leaders int
	// learners are the replicas that were learners, and what was applied then.
	learners map[learnerOf]uint64
}

// crowd is those who use the cluster: watchers watch, clients do all else, and
// waiting are their operations under way.
type crowd struct {
	clients  []*client
	watchers []*watcher
	waiting  map[uint64]*Op
}

// traps are faults that wait for their moment.
type traps struct {
	plot   *plot
	ambush *ambush
	// instances counts the faults of each kind of plague.
	instances []int
}

// Report is what came of a run.
type Report struct {
	Config  Config
	Trace   *Trace
	History History
	Coverage
	// Ended is when the run was over, in its own time.
	Ended Time
	// Statuses counts how often nodes were asked for theirs.
	Statuses int
	// Instances are how many faults of each kind of plague there were.
	Instances []int
	// Err is what the checkers, or the core itself, object to.
	Err error
}

// failure is a panic of the simulator itself: an objection to the core.
type failure struct{ error }

// failf ends the run.
func (c *cluster) failf(format string, args ...any) {
	panic(failure{fmt.Errorf(format, args...)})
}

// Run simulates one cluster, from its first start to its last check. Raft
// draws its election timeouts from crypto/rand, which the caller seeds.
func Run(cfg Config) *Report {
	c := newCluster(cfg)
	r := &Report{Config: cfg, Trace: c.trace}
	r.Err = c.guard(c.run)
	c.probe.lookBack()
	r.Ended, r.Statuses = c.now, c.archive.statuses
	r.History, r.Coverage, r.Instances = c.history, c.probe.Coverage, c.instances
	return r
}

func newCluster(cfg Config) *cluster {
	trace := newTrace(cfg.Trace, cfg.Brief)
	c := &cluster{
		world: newWorld(cfg.Seed+cfg.Salt<<32, trace), cfg: cfg, nodes: map[kv.NodeID]*node{},
		crowd:   crowd{waiting: map[uint64]*Op{}},
		ranks:   ranks{terms: map[termOf]kv.NodeID{}, learners: map[learnerOf]uint64{}},
		archive: archive{harvests: map[kv.ShardID]*harvest{}},
	}
	c.probe = newProbe(c)
	c.calm = cfg.Calm()
	c.history.Leases, c.history.Drift = map[kv.LeaseID]*Tenure{}, cfg.Drift
	harsh := cfg.Faults
	harsh.Handover = 0
	c.history.Gentle, c.history.Repeats = harsh.none(), cfg.Net.Duplicate > 0
	trace.now = func() Time { return c.now }
	c.network = network{
		c: c, cut: map[link]bool{}, last: map[link]Time{}, apart: map[kv.ShardID]kv.NodeID{},
	}
	return c
}

// guard turns a panic into an error.
func (c *cluster) guard(run func() error) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case failure:
			err = p.error
		default:
			err = fmt.Errorf("panic: %v", p)
			c.trace.sayf("%s", debug.Stack())
		}
	}()
	return run()
}

func (c *cluster) run() error {
	c.begin()
	c.plague()
	c.runFor(c.cfg.Load.Length)
	c.heal()
	c.checkLocks()
	c.runUntil("the last answers", 20*time.Second, c.idle)
	c.runUntil("a healthy cluster", 60*time.Second, c.settled)
	c.runUntil("the end of all leases", time.Minute, c.leaseless)
	return c.check()
}

// begin builds the cluster, and has clients work once it has leaders.
func (c *cluster) begin() {
	c.build()
	for _, id := range c.order {
		n := c.nodes[id]
		c.after(c.between(0, 50*time.Millisecond), n.start)
	}
	c.runUntil("the first leaders", 20*time.Second, c.ready)
	for _, cl := range c.clients {
		cl.begin()
	}
	c.beginJanitors()
	c.beginKeepers()
	c.beginWardens()
	for _, w := range c.watchers {
		w.begin()
	}
	c.leaders = len(c.terms)
}

func (c *cluster) build() {
	shape := c.cfg.Shape
	for i := range shape.Nodes {
		c.order = append(c.order, kv.NodeID(i+1))
	}
	c.keys = newKeys(c.cfg.Load.Keys, shape.Shards, c.cfg.Load.tasks() == 0)
	layout := placement.Layout{
		Nodes: c.order, Shards: shape.Shards, SplitAt: c.keys.splits, Replicas: shape.Replicas,
	}
	var err error
	if c.shards, err = layout.Build(); err != nil {
		c.failf("layout: %v", err)
	}
	for _, id := range c.order {
		n := &node{c: c, id: id}
		n.format()
		c.nodes[id] = n
	}
	for i := range c.cfg.Load.Clients {
		c.clients = append(c.clients, newClient(c, i))
	}
	for i := range c.cfg.Load.Watchers {
		c.watchers = append(c.watchers, newWatcher(c, i))
	}
}

// timing is that of a real node, with less patience.
func (c *cluster) timing() replica.Timing {
	t := replica.DefaultTiming()
	t.RequestTimeout = 2 * time.Second
	if keep := c.cfg.Sizes.Keep; keep > 0 {
		t.KeepOutcomes = keep
	}
	return t
}

// allShards are the system shard and the others.
func (c *cluster) allShards() []placement.Shard {
	if c.every == nil {
		c.every = append([]placement.Shard{c.shards.System}, c.shards.Shards...)
	}
	return c.every
}

func (c *cluster) runFor(d time.Duration) {
	end := c.now + Time(d)
	for len(c.queue) > 0 && c.queue[0].at <= end {
		c.step()
	}
	c.now = end
}

// runUntil goes on until a condition holds, and fails if that takes too long.
func (c *cluster) runUntil(what string, limit time.Duration, done func() bool) {
	for end := c.now + Time(limit); !done(); {
		if c.now >= end {
			c.failf("waited %v in vain for %s: %s", limit, what, c.status())
		}
		c.runFor(20 * time.Millisecond)
	}
}

// ready reports whether every shard has a leader that serves.
func (c *cluster) ready() bool {
	for _, s := range c.allShards() {
		if c.leader(s.ID) == nil {
			return false
		}
	}
	return true
}

// leader is a replica that serves as leader, nil if there is none. Of two,
// which is possible for a moment, it is that of the later term.
func (c *cluster) leader(shard kv.ShardID) *replica.Replica {
	var best *replica.Replica
	for _, r := range c.replicas(shard) {
		if r.Leading() && (best == nil || r.Term() > best.Term()) {
			best = r
		}
	}
	return best
}

// replicas are the living ones of a shard, by node.
func (c *cluster) replicas(shard kv.ShardID) []*replica.Replica {
	var list []*replica.Replica
	for _, id := range c.order {
		n := c.nodes[id]
		if !n.serves() {
			continue
		}
		if r := n.threadOf(shard).worker.Replica(shard); r != nil {
			list = append(list, r)
		}
	}
	return list
}

// idle reports whether all clients have their last answer.
func (c *cluster) idle() bool { return len(c.waiting) == 0 }

// settled reports whether all nodes run, and all replicas that there should be
// are there, vote, and have applied the same.
func (c *cluster) settled() bool {
	for _, id := range c.order {
		if n := c.nodes[id]; !n.serves() || n.leaving {
			return false
		}
	}
	for _, s := range c.allShards() {
		leader := c.leader(s.ID)
		if leader == nil || leader.Descriptor().Voters() != len(s.Nodes) {
			return false
		}
		list := c.replicas(s.ID)
		if len(list) != len(s.Nodes) {
			return false
		}
		for _, r := range list {
			if r.Applied() != leader.Applied() {
				return false
			}
		}
	}
	return true
}

// status says how the replicas stand, for a failure.
func (c *cluster) status() string {
	var text strings.Builder
	for _, id := range c.order {
		n := c.nodes[id]
		text.WriteString(fmt.Sprintf("\n%v state %d", id, n.state))
		if n.state == joining {
			text.WriteString(fmt.Sprintf(" waits for %v", n.member.Waiting()))
		}
		for _, t := range n.threads {
			for _, s := range t.worker.Status() {
				text.WriteString(fmt.Sprintf("\n  %v term %d leader %v commit %d applied %d %v",
					s.ID, s.Term, s.Leader, s.Commit, s.Applied, s.Replicas))
			}
		}
	}
	ids := make([]uint64, 0, len(c.waiting))
	for id := range c.waiting {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return fmt.Sprintf("%s\nwaiting: %v", text.String(), ids)
}
