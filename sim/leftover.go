package sim

import (
	"fmt"
	"time"

	"github.com/miruvor/miruvor/internal/watch"
	"github.com/miruvor/miruvor/internal/worker"
)

// checkLeftovers checks that nothing is left of what is over: no request is counted that
// was answered, no byte of it, no lock, nobody who waits, no watch that was closed. What
// leaks a little each time reaches a bound only after weeks. Nodes ask one another now and
// then, so it may take a moment.
func (c *cluster) checkLeftovers() error {
	err := c.leftover()
	for end := c.now + Time(time.Second); err != nil && c.now < end; err = c.leftover() {
		c.runFor(5 * time.Millisecond)
	}
	return err
}

func (c *cluster) leftover() error {
	for _, id := range c.order {
		n := c.nodes[id]
		for _, t := range n.threads {
			if err := leftOfWork(t.worker.Load()); err != nil {
				return fmt.Errorf("%v: %w", id, err)
			}
		}
		if err := n.hub.leftOfWatches(); err != nil {
			return fmt.Errorf("%v: %w", id, err)
		}
	}
	return nil
}

// leftOfWork checks a worker without work.
func leftOfWork(l worker.Load) error {
	if l.Calls != 0 || l.Oracle.Waiting != 0 || l.Leases.Waiting != 0 || l.Leases.Revoking != 0 {
		return fmt.Errorf("left over: %d calls, %d wait for revisions, %d for leases, %d end",
			l.Calls, l.Oracle.Waiting, l.Leases.Waiting, l.Leases.Revoking)
	}
	for _, s := range l.Shards {
		if s.Requests != 0 || s.TxnBytes != 0 || s.Locks != 0 || s.LockWaiters != 0 {
			return fmt.Errorf("left over in %v: %d requests, %d bytes, %d locks, %d wait for locks",
				s.ID, s.Requests, s.TxnBytes, s.Locks, s.LockWaiters)
		}
	}
	return nil
}

// leftOfWatches checks that the machine has just the streams and watches that are open.
func (h *hub) leftOfWatches() error {
	want := watch.Load{Streams: len(h.audiences)}
	for _, a := range h.audiences {
		want.Watches += len(a.watches)
	}
	if got := h.machine.Load(); got.Streams != want.Streams || got.Watches != want.Watches ||
		got.QueueBytes < 0 || got.Slow < 0 || got.Slow > got.Watches {
		return fmt.Errorf("left over: %+v, but %d streams with %d watches are open", got,
			want.Streams, want.Watches)
	}
	return nil
}
