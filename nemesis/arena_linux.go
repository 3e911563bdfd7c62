package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/miruvor/miruvor/internal/faultfs"
	"github.com/miruvor/miruvor/internal/history"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/netlab"
)

// fault is something that goes wrong with a cluster and is put right again.
type fault interface {
	fmt.Stringer
	// begin does it. What it does may take until end.
	begin(ctx context.Context, a *arena) error
	end(ctx context.Context, a *arena) error
}

// arena is a cluster under faults: what is wrong with it at the moment. Its
// methods may be called from any goroutine.
type arena struct {
	*cluster
	history *history.History
	// observe is told of what turned out only as it happened.
	observe func(format string, args ...any)

	mu sync.Mutex
	// links and disks are the faults at work, disks by node.
	links map[*links]rule
	disks []map[*disk]faultfs.Fault
	drift []int64
}

// rule is what a fault does to links, from one host number to another. The
// host behind the last node is the clients'.
type rule map[[2]int]netlab.Condition

// cut is a link that nothing passes.
var cut = netlab.Condition{Cut: true}

func newArena(c *cluster, h *history.History, observe func(string, ...any)) *arena {
	a := &arena{cluster: c, history: h, observe: observe, links: map[*links]rule{}}
	for range c.nodes {
		a.disks = append(a.disks, map[*disk]faultfs.Fault{})
	}
	a.drift = make([]int64, len(c.nodes))
	return a
}

// victim is a node, by its index, or the one that leads a shard when it comes to
// that.
type victim struct {
	node  int
	leads bool
	shard int
}

func (v victim) String() string {
	if v.leads {
		return fmt.Sprintf("the leader of shard %d", v.shard)
	}
	return fmt.Sprintf("n%d", v.node+1)
}

// find is the index of the node.
func (v victim) find(ctx context.Context, a *arena) int {
	if !v.leads {
		return v.node
	}
	if leader, _ := a.leader(ctx, kv.ShardID(v.shard)); leader >= 0 {
		return leader
	}
	return v.shard % len(a.nodes)
}

// leader is the index of the node that leads a shard by the highest term that
// any node knows of, -1 if none is known.
func (cl *cluster) leader(ctx context.Context, shard kv.ShardID) (node int, term uint64) {
	node = -1
	for _, st := range cl.statuses(ctx) {
		for _, s := range st.Shards {
			if s.ID == shard && s.Leader != 0 && s.Term > term {
				node, term = int(s.Leader)-1, s.Term
			}
		}
	}
	return node, term
}

// statuses asks all nodes at once. Those that do not answer are left out.
func (cl *cluster) statuses(ctx context.Context) []kv.Status {
	all := make([]*kv.Status, len(cl.nodes))
	var asked sync.WaitGroup
	for i := range cl.nodes {
		asked.Go(func() {
			if st, err := cl.status(ctx, i); err == nil {
				all[i] = &st
			}
		})
	}
	asked.Wait()
	var list []kv.Status
	for _, st := range all {
		if st != nil {
			list = append(list, *st)
		}
	}
	return list
}

// setLinks puts a fault's rule in force, none if it is nil.
func (a *arena) setLinks(l *links, r rule) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r == nil {
		delete(a.links, l)
	} else {
		a.links[l] = r
	}
	for from := range len(a.nodes) + 1 {
		for to := range len(a.nodes) + 1 {
			if from != to {
				a.network.Set(a.host(from), a.host(to), a.condition([2]int{from, to}))
			}
		}
	}
}

// condition is what all faults together make of a link.
func (a *arena) condition(link [2]int) netlab.Condition {
	var all netlab.Condition
	for _, r := range a.links {
		c := r[link]
		all.Cut = all.Cut || c.Cut
		all.Loss = max(all.Loss, c.Loss)
		all.Delay += c.Delay
		all.Jitter = max(all.Jitter, c.Jitter)
	}
	return all
}

func (a *arena) host(number int) *netlab.Host {
	if number == len(a.nodes) {
		return a.self
	}
	return a.nodes[number].host
}

// setDisk puts a fault of a node's files in force, or ends it.
func (a *arena) setDisk(node int, d *disk, f *faultfs.Fault) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f == nil {
		delete(a.disks[node], d)
	} else {
		a.disks[node][d] = *f
	}
	return a.tell(node, 0)
}

// setClock makes a node's clock jump, and drift from now on.
func (a *arena) setClock(node int, jump time.Duration, drift int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drift[node] = drift
	return a.tell(node, jump)
}

// tell sends a node what is wrong with it. a.mu is held.
func (a *arena) tell(node int, jump time.Duration) error {
	return a.nodes[node].tell(command{
		Faults: slices.Collect(maps.Values(a.disks[node])), Jump: jump, Drift: a.drift[node],
	})
}

// revive starts a node again, with what is still wrong with it.
func (a *arena) revive(node int, epoch int64) error {
	if err := a.nodes[node].start(epoch); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.tell(node, 0)
}

// wait waits, or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
