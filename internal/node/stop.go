package node

import (
	"context"
	"errors"
	"time"

	"github.com/miruvor/miruvor/internal/wire"
	"github.com/miruvor/miruvor/internal/worker"
)

// handoverPause lies between two looks at whether leaderships are gone.
const handoverPause = 20 * time.Millisecond

// handoverMax bounds how long a stopping node waits for others to take over.
const handoverMax = 2 * time.Second

// Stop hands the leaderships over, as far as ctx and two seconds allow, and
// stops everything. Requests that still wait get ErrUncertain. The node can't be
// used after; to stop it once more returns what the first time did, when that has. A
// node whose engine failed is left as it is: to close it might take for ever, and the end
// of the process does as well.
func (n *Node) Stop(ctx context.Context) error {
	if n.wrecked.Load() {
		return nil
	}
	n.ending.Do(func() {
		n.handover(ctx)
		n.ended = n.close()
	})
	return n.ended
}

func (n *Node) handover(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, handoverMax)
	defer cancel()
	for _, t := range n.threads.get() {
		for t.leads() {
			select {
			case <-ctx.Done():
				return
			case <-time.After(handoverPause):
			}
		}
	}
}

// leads has the worker offer its leaderships, and reports whether some remain.
func (t *thread) leads() bool {
	left := false
	t.call(func(now wire.Instant, w *worker.Worker) { left = w.Handover(now) })
	return left
}

// close stops what runs, from the top down, and closes what is open.
func (n *Node) close() error {
	n.stop()
	n.running.Wait()
	var errs []error
	if n.transport != nil {
		errs = append(errs, n.transport.Close())
	}
	n.endHub()
	n.threads.end()
	n.running.Wait() // for snapshots that a thread began to send meanwhile
	close(n.stopped)
	if n.writer != nil {
		n.writer.Close()
	}
	if n.raftlog != nil {
		errs = append(errs, n.raftlog.Close())
	}
	if n.engine != nil && !n.wrecked.Load() {
		errs = append(errs, n.engine.Close())
	}
	return errors.Join(append(errs, n.dir.Close())...)
}
