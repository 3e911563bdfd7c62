package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/node"
)

// demoCluster is the running nodes of a demo.
type demoCluster struct {
	instances []*instance
}

// startDemo checks everything, then starts all nodes or none.
func startDemo(configs []instanceConfig) (*demoCluster, error) {
	listeners, err := bindDemo(configs)
	if err != nil {
		return nil, err
	}
	c := &demoCluster{}
	for i := range configs {
		started, err := startInstance(configs[i], listeners[i])
		if err != nil {
			return nil, errors.Join(err, closeAll(listeners[i+1:]), c.stop())
		}
		c.instances = append(c.instances, started)
	}
	return c, nil
}

// bindDemo binds the ports for clients, once nothing is left to complain of.
func bindDemo(configs []instanceConfig) ([]net.Listener, error) {
	var listeners []net.Listener
	var problems []error
	for i := range configs {
		client, err := listenFor("client-ports", configs[i].listen)
		if err == nil {
			listeners = append(listeners, client)
		}
		peer, err2 := listenFor("peer-ports", configs[i].node.Listen)
		if err2 == nil {
			err2 = peer.Close()
		}
		problems = append(problems, err, err2)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, errors.Join(err, closeAll(listeners))
	}
	for i := range configs {
		if err := node.Preflight(configs[i].node); err != nil {
			return nil, errors.Join(err, closeAll(listeners))
		}
	}
	return listeners, nil
}

func closeAll(listeners []net.Listener) error {
	var errs []error
	for _, listener := range listeners {
		errs = append(errs, listener.Close())
	}
	return errors.Join(errs...)
}

// waitReady waits until all nodes serve.
func (c *demoCluster) waitReady(ctx context.Context, s *screen) error {
	for _, i := range c.instances {
		tell := func(waiting string) { s.show("waiting for "+waiting, "") }
		if err := i.waitReady(ctx, tell); err != nil {
			return err
		}
	}
	return nil
}

// watch shows how the cluster does, until ctx ends or a node fails.
func (c *demoCluster) watch(ctx context.Context, s *screen) error {
	ctx, cancel := context.WithCancel(ctx)
	failed := make(chan error, len(c.instances))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for _, i := range c.instances {
		wg.Go(func() {
			if err := i.wait(ctx); err != nil {
				failed <- err
			}
		})
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	pace := pace{}
	for {
		statuses := c.statuses(ctx)
		s.show(demoState(statuses), pace.measure(statuses, time.Now()))
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case <-ticker.C:
		}
	}
}

// statuses are those of the nodes that answer.
func (c *demoCluster) statuses(ctx context.Context) []kv.Status {
	var statuses []kv.Status
	for _, i := range c.instances {
		if status, err := i.node.Status(ctx); err == nil {
			statuses = append(statuses, status)
		}
	}
	return statuses
}

// demoState is how the cluster is, in a line that changes only when something
// happens to it.
func demoState(statuses []kv.Status) string {
	ready := 0
	names := map[kv.NodeID]string{}
	terms, leaders := map[kv.ShardID]uint64{}, map[kv.ShardID]kv.NodeID{}
	for _, status := range statuses {
		names[status.Node] = status.Name
		if status.Ready {
			ready++
		}
		for _, shard := range status.Shards {
			if shard.Term >= terms[shard.ID] && shard.Leader != 0 {
				terms[shard.ID], leaders[shard.ID] = shard.Term, shard.Leader
			}
		}
	}
	leads := map[kv.NodeID]int{}
	for id, leader := range leaders {
		if id != kv.SystemShard {
			leads[leader]++
		}
	}
	var words []string
	for id, name := range names {
		words = append(words, fmt.Sprintf("%s leads %d", name, leads[id]))
	}
	slices.Sort(words)
	return fmt.Sprintf("%d of %d nodes ready, %s", ready, len(statuses), strings.Join(words, ", "))
}

// pace measures how fast the revision grows.
type pace struct {
	revision kv.Revision
	at       time.Time
}

func (p *pace) measure(statuses []kv.Status, now time.Time) string {
	revision := p.revision
	for _, status := range statuses {
		revision = max(revision, status.Revision)
	}
	before := *p
	*p = pace{revision, now}
	seconds := now.Sub(before.at).Seconds()
	if before.at.IsZero() || seconds <= 0 {
		return fmt.Sprintf("revision %d", int64(revision))
	}
	perSecond := float64(revision-before.revision) / seconds
	return fmt.Sprintf("revision %d, %.0f writes/s", int64(revision), perSecond)
}

// stop stops all nodes at once; none can hand its leaderships over, as the
// others go as well.
func (c *demoCluster) stop() error {
	errs := make([]error, len(c.instances))
	var wg sync.WaitGroup
	for n, i := range c.instances {
		wg.Go(func() { errs[n] = i.stop(0) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
