package sim

import (
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// txnSight is what is known of a transaction over several shards from its messages.
type txnSight struct {
	primary kv.ShardID
	// asked is when a shard was asked to prepare last, 0 for never; coordinatorDied and
	// primaryDied tell that those nodes crashed after that, before a decision.
	asked                        Time
	coordinatorDied, primaryDied bool
	// decided tells that the primary's leader, the node decider, answered that it is
	// committed; told that another shard heard of it; over that it was given up.
	decided, told, over bool
	decider             kv.NodeID
	// decidedAt is when that was seen first.
	decidedAt Time
}

func (p *probe) txn(id wire.TxnID) *txnSight {
	t := p.txns[id]
	if t == nil {
		t = &txnSight{}
		p.txns[id] = t
	}
	return t
}

// asked looks at a request on its way.
func (p *probe) asked(from *node, to kv.NodeID, r *wire.Request) {
	q := question64{from.id, r.ID}
	switch {
	case r.Oracle != nil && r.Oracle.Count > 0:
		p.numbers[q] = to
	case r.Settle != nil:
		p.settling[q] = r.Settle.Txn
	case r.Decide != nil:
		p.deciding[q] = r.Decide.Txn
	case r.Prepare != nil && len(r.Prepare.Locks) > 0:
		t := p.txn(r.Prepare.Txn)
		t.primary, t.asked = r.Prepare.Primary, p.c.now
	case r.Resolve != nil && r.Resolve.Commit:
		p.txn(r.Resolve.Txn).decide(from.id, p.c.now)
	}
}

func (t *txnSight) decide(by kv.NodeID, now Time) {
	if !t.decided {
		t.decidedAt = now
	}
	t.decided, t.decider = true, by
}

// tookRequest looks at a request that arrived.
func (p *probe) tookRequest(n *node, _ kv.NodeID, r *wire.Request) {
	switch {
	case r.Prepare != nil && len(r.Prepare.Locks) > 0:
		if t := p.txns[r.Prepare.Txn]; t != nil && t.over {
			p.reached(LatePrepare)
		}
		if p.hasLearner(n, r.Shard) {
			p.reached(LearnerDuringPrepare)
		}
	case r.Resolve != nil && r.Resolve.Commit:
		if t := p.txns[r.Resolve.Txn]; t != nil {
			if !t.told && p.c.now > t.decidedAt+Time(p.c.timing().KeepOutcomes) {
				p.reached(UntoldForLong)
			}
			t.told = true
		}
	}
}

func (p *probe) hasLearner(n *node, shard kv.ShardID) bool {
	r := n.threadOf(shard).worker.Replica(shard)
	if r == nil || !r.Leading() {
		return false
	}
	return r.Descriptor().Voters() < len(r.Descriptor().Replicas)
}

// answered looks at a response on its way.
func (p *probe) answered(from *node, to kv.NodeID, r *wire.Response) {
	q := question64{to, r.ID}
	if r.Outcome == nil {
		return
	}
	if id, ok := p.deciding[q]; ok && r.Outcome.State == wire.OutcomeCommitted {
		p.txn(id).decide(from.id, p.c.now)
	}
	if id, ok := p.settling[q]; ok && r.Outcome.State == wire.OutcomeAborted {
		p.txn(id).over = true
	}
}

// tookResponse looks at a response that arrived.
func (p *probe) tookResponse(n *node, from kv.NodeID, r *wire.Response) {
	q := question64{n.id, r.ID}
	if whom, ok := p.numbers[q]; ok {
		delete(p.numbers, q)
		leader := p.c.leader(p.c.shards.Oracle())
		if r.Oracle != nil && leader != nil && leader.Leader() != whom {
			p.reached(NumbersOfDeposed)
		}
	}
	if _, ok := p.settling[q]; !ok || r.Outcome == nil {
		return
	}
	delete(p.settling, q)
	switch r.Outcome.State {
	case wire.OutcomeAborted:
		p.reached(SettledAborted)
	case wire.OutcomeCommitted:
		p.reached(SettledCommitted)
	}
}

// diedAmid looks at the transactions that a node leaves behind when it dies.
func (p *probe) diedAmid(n *node) {
	for id, t := range p.txns {
		switch {
		case t.over || t.told:
		case t.decided:
			if t.decider == n.id {
				p.reached(DecisionUntold)
				t.told = true // once is enough
			}
		case t.asked != 0 && p.c.now < t.asked+Time(time.Second):
			t.coordinatorDied = t.coordinatorDied || id.Node == n.id
			t.primaryDied = t.primaryDied || id.Node != n.id && p.leads(n, t.primary)
			if t.coordinatorDied && t.primaryDied {
				p.reached(OrphanedByTwo)
				t.over = true
			}
		}
	}
	for q := range p.numbers {
		if q.node == n.id {
			delete(p.numbers, q)
		}
	}
}

func (p *probe) leads(n *node, shard kv.ShardID) bool {
	if !n.serves() {
		return false
	}
	r := n.threadOf(shard).worker.Replica(shard)
	return r != nil && r.Leading()
}
