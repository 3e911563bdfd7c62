package sim

import (
	"fmt"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// lastQuestions shows that a healed cluster does everything again that a store does: it
// takes writes in every shard and over all of them, answers reads on every node, and sees
// to alarms, leases and compactions.
func (c *cluster) lastQuestions() error {
	q := &questions{c: c}
	everywhere := &kv.TxnRequest{}
	for i, keys := range c.keys.perShard {
		value := fmt.Appendf(nil, "last.%d", i)
		q.ask(single(kv.Op{Put: &kv.PutRequest{Key: keys[0], Value: value}}))
		everywhere.Success = append(everywhere.Success, put(keys[0], "last.all.%d", i))
	}
	q.ask(&Op{Txn: everywhere})
	for range c.order {
		q.ask(&Op{Range: &kv.RangeRequest{}})
		q.at--
		q.ask(&Op{Range: &kv.RangeRequest{Serializable: true}})
	}
	q.askAlarms()
	if c.cfg.Load.Keepers > 0 {
		q.askLeases()
	}
	if c.cfg.Load.Janitors > 0 {
		q.ask(&Op{Compact: &CompactOp{Revision: q.revision}})
	}
	for _, op := range q.asked {
		if op.Err != nil && !c.excused(op) {
			return fmt.Errorf("all is well, but %v", op)
		}
	}
	return nil
}

// lastAnswerMax is how long each may take.
const lastAnswerMax = 5 * time.Second

// questions are those that are asked last, one after the other, each of the next node.
type questions struct {
	c     *cluster
	at    int
	asked []*Op
	// revision is the highest that was answered.
	revision kv.Revision
}

func (q *questions) ask(op *Op) {
	c := q.c
	n := c.nodes[c.order[q.at%len(c.order)]]
	q.at++
	op.ID, op.Client, op.Node = c.nextOp(), len(c.clients), n.id
	q.asked = append(q.asked, op)
	c.ask(n, op)
	c.runUntil("an answer", lastAnswerMax, c.idle)
	if op.Err == nil {
		q.revision = max(q.revision, op.Revision())
	}
}

// askAlarms raises an alarm, and clears it.
func (q *questions) askAlarms() {
	alarm := kv.Alarm{Node: q.c.order[0], Kind: kv.AlarmNoSpace}
	for _, req := range []wire.Alarm{
		{Op: wire.AlarmRaise, Alarm: alarm}, {Op: wire.AlarmClear, Alarm: alarm}, {},
	} {
		q.ask(&Op{Alarm: &AlarmOp{Request: req}})
	}
}

// askLeases grants a lease, uses it and revokes it.
func (q *questions) askLeases() {
	q.c.archive.leases++
	id := q.c.archive.leases
	q.ask(leaseOp(wire.Lease{Op: wire.LeaseGrant, ID: id, TTL: 60}))
	txn := &kv.TxnRequest{}
	for i, keys := range q.c.keys.perShard {
		txn.Success = append(txn.Success, kv.Op{Put: &kv.PutRequest{
			Key: keys[0], Value: fmt.Appendf(nil, "last.lease.%d", i), Lease: id,
		}})
	}
	q.ask(&Op{Txn: txn})
	q.ask(leaseOp(wire.Lease{Op: wire.LeaseKeepAlive, ID: id}))
	left := leaseOp(wire.Lease{Op: wire.LeaseTimeToLive, ID: id})
	left.Lease.Keys = true
	q.ask(left)
	q.ask(leaseOp(wire.Lease{Op: wire.LeaseRevoke, ID: id}))
}
