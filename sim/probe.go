package sim

import (
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/wire"
)

// probe looks out for rare states from outside: at messages, disks, crashes and what
// replicas show of themselves. It changes nothing of what happens, and draws nothing.
type probe struct {
	c *cluster
	Coverage
	// streams are the snapshots under way.
	streams []*stream
	// reigns tells when somebody began to lead a shard, last.
	reigns map[kv.ShardID]Time
	ledger
}

// ledger is what the probe knows of exchanges under way.
type ledger struct {
	txns map[wire.TxnID]*txnSight
	// settling names the transactions that somebody was asked about, deciding
	// those that a primary was asked to decide, by question.
	settling, deciding map[question64]wire.TxnID
	// numbers are the questions for several revisions, and whom.
	numbers map[question64]kv.NodeID
}

// question64 is a request: who asked, and its id there.
type question64 struct {
	node kv.NodeID
	id   uint64
}

func newProbe(c *cluster) *probe {
	return &probe{c: c, reigns: map[kv.ShardID]Time{}, ledger: ledger{
		txns:     map[wire.TxnID]*txnSight{},
		settling: map[question64]wire.TxnID{}, deciding: map[question64]wire.TxnID{},
		numbers: map[question64]kv.NodeID{},
	}}
}

// sent looks at a message that a node sends, if only to itself.
func (p *probe) sent(from *node, to kv.NodeID, m *wire.Message) {
	switch {
	case m.Raft != nil:
		p.sentRaft(from, to, m.Raft)
	case m.Request != nil:
		p.asked(from, to, m.Request)
	case m.Response != nil:
		p.answered(from, to, m.Response)
	}
}

func (p *probe) sentRaft(from *node, to kv.NodeID, m *wire.Raft) {
	if m.Msg.GetType() != raftpb.MsgTimeoutNow || from.id == to {
		return
	}
	p.reigns[m.Shard] = p.c.now // that of the next is about to begin
	if p.locksOf(from, m.Shard) > 0 {
		p.reached(TransferDuringPrepare)
	}
	if p.c.network.cut[link{from.id, to}] || !p.c.nodes[to].serves() {
		p.reached(TransferLost)
	}
}

func (p *probe) locksOf(n *node, shard kv.ShardID) int {
	if !n.serves() {
		return 0
	}
	if r := n.threadOf(shard).worker.Replica(shard); r != nil {
		return r.Load().Locks
	}
	return 0
}

// promiseTime is how long a restarted voter keeps its promise.
const promiseTime = 500 * time.Millisecond

// received looks at a message that a process takes.
func (p *probe) received(n *node, from kv.NodeID, m *wire.Message) {
	switch {
	case m.Raft != nil:
		t := m.Raft.Msg.GetType()
		if (t == raftpb.MsgVote || t == raftpb.MsgPreVote) && n.boot > 1 &&
			p.c.now < n.clock.booted+Time(promiseTime) && !p.leaderless(m.Raft.Shard) {
			p.reached(PromiseAsked)
		}
	case m.Request != nil:
		p.tookRequest(n, from, m.Request)
	case m.Response != nil:
		p.tookResponse(n, from, m.Response)
	}
}

// reigns is called when a replica is seen to lead in a term for the first time.
func (p *probe) reign(r *replica.Replica, shard kv.ShardID) {
	p.reigns[shard] = p.c.now
	for _, s := range p.streams {
		if s.head.Shard == shard {
			p.reached(SnapshotDuringElection)
		}
	}
	for _, rep := range r.Descriptor().Replicas {
		if rep.Learner {
			p.reached(WipedDuringElection)
		}
	}
	for _, whom := range p.numbers {
		if shard == p.c.shards.Oracle() && whom != r.Leader() {
			p.reached(OracleLostInBatch)
		}
	}
	if shard != kv.SystemShard {
		return
	}
	for _, op := range p.c.waiting {
		if op.Alarm != nil && op.Alarm.Request.Once() {
			p.reached(AlarmAcrossReign)
		}
	}
}

// changed compares what a replica shows with what it showed before.
func (p *probe) changed(t *thread, r *replica.Replica, before, after seen) {
	if before.leading && !after.leading && before.requests > 0 {
		p.reached(DeposedInFlight)
	}
	if !before.leading && after.leading {
		for _, other := range p.c.replicas(r.Shard()) {
			if other != r && other.Leading() {
				p.reached(TwoLeaders)
			}
		}
	}
	for _, s := range p.streams {
		if s.from != t || s.head.Shard != r.Shard() {
			continue
		}
		if after.compacted > before.compacted {
			p.reached(CompactionDuringSnapshot)
		}
		if after.swept > before.swept {
			p.reached(SweepDuringSnapshot)
		}
	}
}

// leaderless reports whether a shard has nobody who serves as its leader.
func (p *probe) leaderless(shard kv.ShardID) bool { return p.c.leader(shard) == nil }

// anyLeaderless reports whether a range touches a shard without a leader.
func (p *probe) anyLeaderless(r kv.Range) bool {
	for _, s := range p.c.shards.Shards {
		if s.Range.Overlaps(r) && p.leaderless(s.ID) {
			return true
		}
	}
	return false
}

// streamed looks at a snapshot that begins.
func (p *probe) streamed(s *stream) {
	p.streams = append(p.streams, s)
	if p.locksOf(s.from.node, s.head.Shard) > 0 {
		p.reached(LocksDuringSnapshot)
	}
	if !s.to.serves() {
		return
	}
	if r := s.to.threadOf(s.head.Shard).worker.Replica(s.head.Shard); r != nil &&
		r.Applied().Index > 0 {
		p.reached(SnapshotOfLaggard)
	}
}

// restored looks at a snapshot that was handed over.
func (p *probe) restored(s *stream) {
	from := s.from.node
	if s.from.boot != from.boot || !s.from.worker.Replica(s.head.Shard).Leading() {
		p.reached(SnapshotOfDeposed)
	}
	r := s.to.threadOf(s.head.Shard).worker.Replica(s.head.Shard)
	if r != nil && r.Load().Remembered > 0 {
		p.reached(SnapshotOverMemory)
	}
}

// streamEnded forgets a snapshot.
func (p *probe) streamEnded(s *stream) {
	for i, other := range p.streams {
		if other == s {
			p.streams = append(p.streams[:i:i], p.streams[i+1:]...)
			return
		}
	}
}

// finished looks at an operation that ended.
func (p *probe) finished(op *Op) {
	if r := op.Range; r != nil && r.Serializable && op.Err == nil && p.anyLeaderless(r.Range) {
		p.reached(ReadBetweenLeaders)
	}
}

// heard looks at what a watch is told.
func (p *probe) heard(w *Watching, r *kv.WatchResponse) {
	if len(r.Events) > 0 && p.anyLeaderless(w.Request.Range) {
		p.reached(WatchBetweenLeaders)
	}
}

// paused looks at a process that is stopped between its clock and its effects.
func (p *probe) paused(n *node) {
	for _, t := range n.threads {
		for _, s := range p.c.allShards() {
			if r := t.worker.Replica(s.ID); r != nil && r.Leading() && r.Load().Requests > 0 {
				p.reached(PauseWithReads)
				return
			}
		}
	}
}
