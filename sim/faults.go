package sim

import (
	"math/rand/v2"
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// affliction is a kind of faults that come again and again.
type affliction struct {
	mean time.Duration
	do   func()
}

// plague begins what goes wrong in this run, each kind at its own pace.
func (c *cluster) plague() {
	f := &c.cfg.Faults
	kinds := []affliction{
		{f.Crash, c.crashSomebody},
		{f.PowerLoss, c.losePower},
		{f.Wipe, c.wipeSomebody},
		{f.Handover, c.handSomebodyOver},
		{f.Move, c.moveLeaders},
		{f.Pause, c.pauseSomebody},
		{f.Partition, c.partition},
		{f.Stall, c.stallSomebody},
		{f.Betray, c.betray},
		{f.Ambush, c.lieInWait},
		{f.Depose, c.depose},
		{f.Hold, c.holdSomebody},
	}
	c.instances = make([]int, len(kinds))
	for i, kind := range kinds {
		if kind.mean > 0 {
			c.afflict(i, kind)
		}
	}
}

// instancesMax bounds the faults of a kind, so that a number names one.
const instancesMax = 1000

// afflict does something again and again, until the cluster is healed. Each time has a
// source of chance of its own, so that one that is left out changes no other.
func (c *cluster) afflict(kind int, a affliction) {
	id := kind*instancesMax + c.instances[kind]
	rng := rand.New(rand.NewPCG(c.cfg.Seed+c.cfg.Salt<<32, uint64(id)+1))
	var pause time.Duration
	c.by(rng, func() { pause = c.around(a.mean) })
	c.after(pause, func() {
		if c.healed {
			return
		}
		c.instances[kind]++
		if !slices.Contains(c.cfg.Without, id) {
			c.by(rng, a.do)
		}
		c.afflict(kind, a)
	})
}

// recur does something again and again, until the cluster is healed.
func (c *cluster) recur(mean time.Duration, do func()) {
	c.after(c.around(mean), func() {
		if !c.healed {
			do()
			c.recur(mean, do)
		}
	})
}

func (c *cluster) anybody() *node { return c.nodes[c.order[c.rng.IntN(len(c.order))]] }

// unsyncedPercent is how much of what was not synced survives: all of it when
// only the process dies.
func (c *cluster) unsyncedPercent() int { return []int{0, 30, 70, 100}[c.rng.IntN(4)] }

// crashSomebody lets a node die at one of its next effects, or now.
func (c *cluster) crashSomebody() {
	n := c.anybody()
	if n.state == down {
		return
	}
	if n.serves() && c.chance(0.7) {
		n.crashAfter = 1 + c.rng.IntN(30)
		n.onDeath(func() { c.restart(n) })
		return
	}
	n.crash(c.unsyncedPercent())
	c.restart(n)
}

// crashVoter lets a node die for a moment that has just told its vote, at times.
func (c *cluster) crashVoter(n *node, m *wire.Message) {
	voted := m.Raft != nil && m.Raft.Msg.GetType() == raftpb.MsgVoteResp && !m.Raft.Msg.GetReject()
	if voted && c.leaders > 0 && !c.healed && c.chance(c.cfg.Faults.VoterCrash) {
		c.probe.struck(FaultVoterCrash)
		n.crash(c.unsyncedPercent())
		n.start()
	}
}

// crashWriter lets a node die amid a write, at times, or all of them. A write that is
// seldom is that many times as likely.
func (c *cluster) crashWriter(n *node, seldom float64) (died bool) {
	if c.leaders == 0 || c.healed || !c.chance(seldom*c.cfg.Faults.WriteCrash) {
		return false
	}
	c.probe.struck(FaultWriteCrash)
	if c.chance(0.3) {
		c.losePower()
		return true
	}
	n.crash(c.unsyncedPercent())
	c.restart(n)
	return true
}

// cutFresh cuts a leader off that has just begun to lead, at times: what it appends
// reaches nobody, and it may come back to lead with that.
func (c *cluster) cutFresh(leader kv.NodeID) {
	if c.leaders > 0 && !c.healed && c.chance(c.cfg.Faults.FreshCut) {
		c.probe.struck(FaultFreshCut)
		c.cutFor(c.between(200*time.Millisecond, 1500*time.Millisecond), c.linksFrom(leader))
	}
}

// onDeath does something once this life of the process is over.
func (n *node) onDeath(do func()) {
	boot := n.boot
	var look func()
	look = func() {
		switch {
		case n.boot != boot:
			do()
		case !n.c.healed:
			n.c.after(10*time.Millisecond, look)
		}
	}
	look()
}

// restart starts a node that is down, after a while.
func (c *cluster) restart(n *node) {
	boot := n.boot
	mean := c.cfg.Faults.Down
	if mean == 0 {
		mean = 300 * time.Millisecond
	}
	c.after(c.around(mean), func() {
		if n.boot == boot && n.state == down {
			n.start()
		}
	})
}

// losePower lets all nodes die at once.
func (c *cluster) losePower() {
	c.probe.struck(FaultPowerLoss)
	percent := c.unsyncedPercent()
	for _, id := range c.order {
		n := c.nodes[id]
		n.crash(percent)
		c.restart(n)
	}
}

// wipeSomebody takes a node's directory away. That is survived only one at a
// time: every shard must have all its voters, in the directories of now.
func (c *cluster) wipeSomebody() {
	n := c.anybody()
	if c.cfg.Shape.Replicas < 3 || !c.whole() {
		return
	}
	c.probe.struck(FaultWipe)
	n.crash(0)
	n.format()
	n.note("wipe", uint64(n.directory), 0)
	c.trace.sayf("%v lost its directory", n.id)
	c.restart(n)
}

// whole reports whether all replicas of all shards vote and know it, as the
// newest descriptors say, and the nodes run. A replica that has not applied the
// promotion of another goes by the voters before: two, of which it needs both.
func (c *cluster) whole() bool {
	for _, s := range c.allShards() {
		leader := c.leader(s.ID)
		if leader == nil || leader.Descriptor().Voters() != len(s.Nodes) {
			return false
		}
		for _, rep := range leader.Descriptor().Replicas {
			n := c.nodes[rep.Node]
			if !n.serves() || rep.Incarnation != n.member.Identity().ReplicaIncarnation() {
				return false
			}
		}
		for _, r := range c.replicas(s.ID) {
			if r.Descriptor().MemberEpoch != leader.Descriptor().MemberEpoch {
				return false
			}
		}
	}
	return true
}

// handSomebodyOver stops a node in order, and starts it again.
func (c *cluster) handSomebodyOver() {
	n := c.anybody()
	if n.serves() && !n.leaving {
		c.probe.struck(FaultHandover)
		n.leaving = true
		n.handOver(c.now + Time(2*time.Second))
		if c.cfg.Faults.Partition > 0 && c.chance(0.7) {
			c.after(c.between(0, 5*time.Millisecond), func() { c.deafen(n) })
		}
	}
}

// moveLeaders has a node hand its leaderships over for good, to any other.
func (c *cluster) moveLeaders() {
	from, to := c.anybody(), c.anybody().id
	if !from.serves() || from.leaving {
		return
	}
	c.probe.struck(FaultMove)
	from.note("move", uint64(to), 0)
	c.trace.sayf("%v is to hand over to %v", from.id, to)
	for _, t := range from.threads {
		t.post(input{call: func(now wire.Instant) {
			// Who does not lead, or can't hand over to the other, refuses.
			_ = t.worker.Prefer(to, now+wire.Instant(time.Second))
		}})
	}
}

// deafen keeps a node from hearing what became of its leaderships: all links to it are
// cut, or all but the one from the oracle, so that it can go on reading.
func (c *cluster) deafen(n *node) {
	links := c.linksTo(n.id)
	if sys := c.leader(kv.SystemShard); sys != nil && c.chance(0.5) {
		links = slices.DeleteFunc(links, func(l link) bool { return l.from == sys.Leader() })
	}
	c.cut(links)
}

// handOver gives leaderships away until none is left or time is up, and stops.
func (n *node) handOver(end Time) {
	asked, left := 0, false
	for _, t := range n.threads {
		t.post(input{call: func(now wire.Instant) {
			left = t.worker.Handover(now) || left
			if asked++; asked < len(n.threads) {
				return
			}
			if left && n.c.now < end {
				n.whenRunning(10*time.Millisecond, func() { n.handOver(end) })
				return
			}
			n.whenRunning(0, n.shutDown)
		}})
	}
}

// shutDown ends the process in order.
func (n *node) shutDown() {
	n.note("stop", 0, 0)
	n.c.trace.sayf("%v stops", n.id)
	if err := n.log.Close(); err != nil {
		n.c.failf("%v: close the log: %v", n.id, err)
	}
	if err := n.engine.Flush(); err != nil {
		n.c.failf("%v: flush: %v", n.id, err)
	}
	n.stop()
	n.c.restart(n)
}

// pauseSomebody stops a process while time goes on.
func (c *cluster) pauseSomebody() {
	n := c.anybody()
	if n.state != down {
		c.pause(n, c.around(600*time.Millisecond))
	}
}

func (c *cluster) pause(n *node, d time.Duration) {
	c.probe.struck(FaultPause)
	n.note("pause", uint64(d), 0)
	c.trace.sayf("%v is stopped for %v", n.id, d)
	n.pausedUntil = c.now + Time(d)
}

// resume ends a pause at once: its threads and its hub do not sleep on until its time
// would be up.
func (n *node) resume() {
	if n.pausedUntil <= n.c.now {
		return
	}
	n.pausedUntil = 0
	for _, t := range n.threads {
		if t.scheduled {
			t.scheduled = false
			t.wake(0)
		}
	}
	if n.hub != nil && n.hub.scheduled {
		n.hub.scheduled = false
		n.hub.wake(0)
	}
}

// hiccup stops a process between reading its clock and doing what follows
// from it, now and then.
func (c *cluster) hiccup(n *node) bool {
	if c.cfg.Faults.Pause == 0 || c.healed || !c.chance(0.0005) {
		return false
	}
	c.probe.paused(n)
	c.pause(n, c.around(400*time.Millisecond))
	return true
}

// stallSomebody makes a disk slow for a while.
func (c *cluster) stallSomebody() {
	n := c.anybody()
	if n.state != down {
		c.probe.struck(FaultStall)
		n.disk.stalledUntil = c.now + Time(c.around(500*time.Millisecond))
		n.note("stall", uint64(n.disk.stalledUntil), 0)
		c.trace.sayf("the disk of %v stalls", n.id)
	}
}

// partition cuts links for a while: around a node, or one, or only one way.
func (c *cluster) partition() {
	a, b := c.anybody().id, c.anybody().id
	var links []link
	switch c.rng.IntN(4) {
	case 0:
		links = []link{{a, b}, {b, a}}
	case 1:
		links = []link{{a, b}}
	case 2:
		links = c.linksFrom(a)
	default:
		links = append(c.linksFrom(a), c.linksTo(a)...)
	}
	c.cut(links)
}

// cut cuts links for a while.
func (c *cluster) cut(links []link) { c.cutFor(c.around(700*time.Millisecond), links) }

func (c *cluster) cutFor(d time.Duration, links []link) {
	if c.healed || len(links) == 0 {
		return
	}
	c.probe.struck(FaultPartition)
	c.after(d, c.cutLinks(links))
}

// cutLinks cuts links until they are mended.
func (c *cluster) cutLinks(links []link) (mend func()) {
	c.trace.note("cut", uint64(len(links)), 0, 0)
	c.trace.sayf("links are cut: %v", links)
	for _, l := range links {
		c.network.cut[l] = true
	}
	return func() {
		for _, l := range links {
			delete(c.network.cut, l)
		}
		c.trace.sayf("links are whole: %v", links)
	}
}

func (c *cluster) linksFrom(a kv.NodeID) []link {
	var links []link
	for _, id := range c.order {
		if id != a {
			links = append(links, link{a, id})
		}
	}
	return links
}

func (c *cluster) linksTo(a kv.NodeID) []link {
	links := c.linksFrom(a)
	for i, l := range links {
		links[i] = link{l.to, l.from}
	}
	return links
}

// heal ends everything that is wrong, and starts whoever is down.
func (c *cluster) heal() {
	c.healed, c.history.Healed = true, c.now
	c.trace.sayf("all is well again")
	clear(c.network.cut)
	clear(c.network.apart)
	c.cfg.Net.Drop, c.cfg.Net.Slow, c.cfg.Net.Duplicate = 0, 0, 0
	for _, id := range c.order {
		n := c.nodes[id]
		n.resume()
		n.crashAfter, n.disk.stalledUntil = 0, 0
		n.hold(false, false)
		if n.state == down {
			n.start()
		}
	}
}
