package sim

import (
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

// orphanMax is how long keys stay locked after their coordinator died, in a cluster in
// which nothing else goes wrong: a second until the primary is asked, which may have to
// give the transaction up first, and once more for whoever stood in line behind it.
const orphanMax = 2500 * time.Millisecond

// A coordinator dies at each step of its transactions, and stays away.
func TestOrphanedLocksGo(t *testing.T) {
	steps := map[string]Ambush{
		"prepare sent":      {step: stepPrepare},
		"prepared received": {step: stepPrepared, receiver: true},
		"decide sent":       {step: stepDecide},
		"outcome received":  {step: stepOutcome, receiver: true},
		"resolve sent":      {step: stepResolve},
	}
	for name, step := range steps {
		t.Run(name, func(t *testing.T) {
			longest := time.Duration(0)
			for seed := range uint64(5) {
				took, err := orphan(t, seed, step)
				if err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				longest = max(longest, took)
			}
			t.Logf("at most %v", longest)
			if longest > orphanMax {
				t.Errorf("locks were left for %v", longest)
			}
		})
	}
}

// orphan lets a node that leads nothing die at a step, and tells how long locks were left.
func orphan(t *testing.T, seed uint64, at Ambush) (took time.Duration, err error) {
	cryptotest.SetGlobalRandom(t, seed)
	c := newCluster(Config{
		Seed:  seed,
		Shape: Shape{Nodes: 5, Workers: 1, Shards: 3, Replicas: 3},
		Sizes: ampleSizes(),
		Load: Load{
			Clients: 10, Bankers: 5, Listers: 5, Keys: 6, Length: 8 * time.Second,
			Think: 20 * time.Millisecond,
		},
		Net: Net{
			DelayMin: 100 * time.Microsecond, DelayMean: time.Millisecond,
			DelayMax: 100 * time.Millisecond, Ordered: true,
		},
	})
	c.calm = false
	err = c.guard(func() error {
		c.begin()
		c.runFor(time.Second)
		victim := c.follower()
		dead := false
		wait := &ambush{Ambush: at}
		wait.do = func(n *node, _ kv.NodeID) {
			if n.id != victim {
				c.ambush = wait
				return
			}
			dead, c.healed = true, true
			n.crash(100)
		}
		c.ambush = wait
		c.runUntil("a step", 5*time.Second, func() bool { return dead })
		begin := c.now
		c.runUntil("the end of all locks", 20*time.Second, func() bool {
			return c.idle() && c.unlocked()
		})
		took = time.Duration(c.now - begin)
		c.heal()
		c.runUntil("a healthy cluster", 20*time.Second, c.settled)
		return c.check()
	})
	return took, err
}

// follower is a node that leads no shard.
func (c *cluster) follower() kv.NodeID {
	leads := map[kv.NodeID]bool{}
	for _, s := range c.allShards() {
		leads[c.leader(s.ID).Leader()] = true
	}
	for _, id := range c.order {
		if !leads[id] {
			return id
		}
	}
	c.failf("every node leads a shard")
	return 0
}
