package node

import (
	"go.etcd.io/raft/v3/raftpb"

	"github.com/miruvor/miruvor/internal/wire"
)

// What waits for the log of this node, of all shards together: from logBehindBytes on
// no writes are let into it here, from logFullBytes on none of other nodes either.
const (
	logBehindBytes = 16 << 20
	logFullBytes   = 64 << 20
)

// lookAtEngine notes whether the engine is behind. If writes did not wait then, a commit
// would wait for the engine some time, and with it the thread whose heartbeats keep a
// leader in office. Clients who wait for their answers are slowed down so to what the
// disk does; more than the queues hold is refused.
func (n *Node) lookAtEngine() { n.space.held.Store(n.engine.IsBehind()) }

// lookAtDisk has writes wait while the engine or the log is behind.
func (t *thread) lookAtDisk() {
	waiting := t.node.writer.Waiting()
	t.shedding = waiting >= logFullBytes
	if held := waiting >= logBehindBytes || t.node.space.held.Load(); held != t.held {
		t.held = held
		t.worker.Hold(held)
	}
}

// sheds reports whether a message is not taken in because it would have the log grow
// behind a disk that is too slow. Its leader sends such entries again; heartbeats and
// votes go on.
func (t *thread) sheds(m *wire.Message) bool {
	return t.shedding && m.Raft != nil && m.Raft.Msg.GetType() == raftpb.MsgApp &&
		len(m.Raft.Msg.GetEntries()) > 0
}
