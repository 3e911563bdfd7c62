package replica

import (
	"strings"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/wire"
)

// What comes into the log has to be applied, by every replica, each time that it starts.
// So what a peer says that went wrong is refused before.
func TestWhatCannotBeAppliedIsRefused(t *testing.T) {
	part := func(create kv.Revision) []byte {
		return mvcc.AppendPart(nil, &mvcc.Part{
			Writes: []mvcc.Write{{Key: []byte("k"), Create: create, Version: 1}},
			Subs:   []uint32{0},
		})
	}
	txn := wire.TxnID{Node: 3, Seq: 4}
	decide := func(rev kv.Revision, effect []byte, others ...wire.Part) wire.Request {
		return wire.Request{Decide: &wire.Decide{
			Txn: txn, Revision: rev, Effect: effect, Others: others,
		}}
	}
	resolve := func(rev kv.Revision, effect []byte) wire.Request {
		return wire.Request{Resolve: &wire.Resolve{
			Txn: txn, Commit: true, Revision: rev, Effect: effect,
		}}
	}
	closing := func(op wire.LeaseOp) wire.Request {
		return wire.Request{Lease: &wire.Lease{Op: op, ID: 7}}
	}
	for what, req := range map[string]wire.Request{
		"decide: garbage":          decide(50, []byte{1, 2}),
		"decide: created later":    decide(50, part(51)),
		"decide: too low":          decide(1, part(1)),
		"decide: no such revision": decide(-1, nil),
		"decide: another's part":   decide(50, nil, wire.Part{Shard: 2, Effect: []byte{9}}),
		"resolve: garbage":         resolve(50, []byte{1, 2}),
		"resolve: created later":   resolve(50, part(51)),
		"resolve: too low":         resolve(1, part(1)),
		"resolve: too high":        resolve(kv.RevisionMax+1, nil),
		"lease: closes no life":    closing(wire.LeaseClose),
		"lease: forgets no life":   closing(wire.LeaseForget),
	} {
		t.Run(what, func(t *testing.T) {
			c := newCluster(t, 1, DefaultBounds(), ReadLease)
			defer c.close()
			n := c.nodes[0]
			n.input(func(r *Replica, _ *Output) { r.Campaign() })
			c.settle()
			ask := func(id uint64, req wire.Request) {
				req.ID, req.Shard = id, 1
				n.input(func(r *Replica, out *Output) {
					r.Submit(c.now, Origin{Node: 9, ID: id}, &req, out)
				})
				c.settle()
			}
			ask(1, wire.Request{Prepare: &wire.Prepare{
				Txn: txn, Primary: 1,
				Locks: []wire.Lock{{Range: kv.PointRange([]byte("k")), Write: true}},
			}})
			token := n.replica.locks.held[txn].token
			if req.Decide != nil {
				req.Decide.Token = token
			}
			c.events = nil
			ask(2, req)
			if len(c.events) != 1 || !strings.Contains(c.events[0], kv.ErrInvalid.Error()) {
				t.Errorf("answered by %q", c.events)
			}
		})
	}
}
