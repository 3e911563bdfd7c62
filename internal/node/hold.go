package node

import (
	"github.com/miruvor/miruvor/internal/wire"
	"github.com/miruvor/miruvor/internal/worker"
)

// lookAtEngine has writes wait while the engine is behind. If they did not, a commit
// would wait for the engine some time, and with it the thread whose heartbeats keep a
// leader in office. Clients who wait for their answers are slowed down so to what the
// disk does; more than the queues hold is refused.
func (n *Node) lookAtEngine() {
	behind := n.engine.IsBehind()
	if !behind && !n.space.held.Load() {
		return
	}
	n.space.held.Store(behind)
	for _, t := range n.threads.get() { // also to those that began since
		t.inbox.put(event{run: func(_ wire.Instant, w *worker.Worker) { w.Hold(behind) }})
	}
}
