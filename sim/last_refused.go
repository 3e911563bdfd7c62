package sim

import (
	"errors"
	"fmt"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// refusal is a request that can't be carried out, and why.
type refusal struct {
	op   *Op
	want error
}

// lastRefusals shows that a healed cluster refuses what it has to, for the right reason:
// who is told anything else goes on in vain.
func (c *cluster) lastRefusals() error {
	q := &questions{c: c}
	q.ask(&Op{Range: &kv.RangeRequest{}})
	list := append(c.refusedReads(q.revision), c.refusedPuts()...)
	gone := c.archive.leases + 1 // nobody had it
	for _, verb := range []wire.LeaseOp{
		wire.LeaseKeepAlive, wire.LeaseTimeToLive, wire.LeaseRevoke,
	} {
		list = append(list, refusal{leaseOp(wire.Lease{Op: verb, ID: gone}), kv.ErrLeaseNotFound})
	}
	for i, r := range list {
		if q.ask(r.op); !errors.Is(r.op.Err, r.want) && !c.excused(r.op) {
			return fmt.Errorf("refusal %d should be %q: %v", i, r.want, r.op)
		}
	}
	return nil
}

// refusedReads are of the future, and of what is compacted.
func (c *cluster) refusedReads(last kv.Revision) []refusal {
	var list []refusal
	future := last + 1_000_000
	for _, r := range []kv.Range{{}, kv.PointRange(c.keys.all[0])} {
		list = append(list, refusal{
			&Op{Range: &kv.RangeRequest{Range: r, Revision: future}}, kv.ErrFutureRevision,
		}, refusal{
			single(kv.Op{Range: &kv.RangeRequest{Range: r, Revision: future}}),
			kv.ErrFutureRevision,
		})
		if floor := c.floor(); floor > kv.FirstRevision {
			list = append(list, refusal{
				&Op{Range: &kv.RangeRequest{Range: r, Revision: floor - 1}}, kv.ErrCompacted,
			})
		}
	}
	return list
}

// refusedPuts keep the value of a key that is missing, or hang one on a lease that is:
// in one shard, and over all.
func (c *cluster) refusedPuts() []refusal {
	first, last := c.keys.perShard[0][0], c.keys.all[len(c.keys.all)-1]
	keeps := kv.Op{Put: &kv.PutRequest{Key: c.keys.none(), IgnoreValue: true}}
	hangs := kv.Op{Put: &kv.PutRequest{
		Key: last, Value: []byte("refused"), Lease: c.archive.leases + 1,
	}}
	over := func(o kv.Op) *Op {
		if string(first) == string(o.Put.Key) {
			return single(o)
		}
		return &Op{Txn: &kv.TxnRequest{Success: []kv.Op{o, put(first, "refused")}}}
	}
	return []refusal{
		{single(keeps), kv.ErrKeyNotFound},
		{over(keeps), kv.ErrKeyNotFound},
		{single(hangs), kv.ErrLeaseNotFound},
		{over(hangs), kv.ErrLeaseNotFound},
	}
}
