package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// LeaseOp is something that a client asked about a lease.
type LeaseOp struct {
	Request wire.Lease
	// Keys asks for the keys on it.
	Keys     bool
	Response *wire.LeaseResponse
}

func (o *LeaseOp) String() string {
	verbs := [...]string{"grant", "revoke", "keep alive", "time to live", "list"}
	text := fmt.Sprintf("lease %d: %s", o.Request.ID, verbs[o.Request.Op])
	if o.Request.TTL > 0 {
		text += fmt.Sprintf(" %d s", o.Request.TTL)
	}
	if r := o.Response; r != nil {
		text += fmt.Sprintf(" = %d of %d s, keys %q, ids %v, life %x, at %v", r.Lease.TTL,
			r.Lease.Granted, r.Lease.Keys, r.IDs, r.Life, r.Lease.Revision)
	}
	return text
}

// keeper is a client that holds leases: it hangs keys of all shards on them, keeps
// some alive, lets others expire, revokes some, and goes on to use them.
type keeper struct {
	c    *cluster
	id   int
	held []heldLease
}

// heldLease is a lease as its keeper knows it. A doomed one is left to expire.
type heldLease struct {
	id     kv.LeaseID
	doomed bool
}

// leasesHeldMax is how many leases a keeper uses, the last ones: some of them are gone.
const leasesHeldMax = 4

// beginKeepers begins with the clients that hold leases.
func (c *cluster) beginKeepers() {
	for i := range c.cfg.Load.Keepers {
		k := &keeper{c: c, id: len(c.clients) + 200 + i}
		k.begin()
	}
}

// begin does the next operation after a while, as long as there is time.
func (k *keeper) begin() {
	c := k.c
	c.after(c.around(c.cfg.Load.Think), func() {
		if !c.healed {
			k.next()
		}
	})
}

func (k *keeper) next() {
	c := k.c
	n := c.anybody()
	if !n.serves() {
		k.begin()
		return
	}
	op := k.draw()
	k.ask(n, op, k.begin)
}

// ask asks a node, and does something once that is over.
func (k *keeper) ask(n *node, op *Op, then func()) {
	op.ID, op.Client, op.Node = k.c.nextOp(), k.id, n.id
	op.then = then
	if l := op.Lease; l != nil && l.Request.Op == wire.LeaseGrant {
		op.then = func() {
			k.granted(op)
			then()
		}
	}
	nameValues(op)
	k.c.ask(n, op)
}

// granted has some leases asked for at the very time at which they end, if nobody
// keeps them alive, or soon after: who is slow to notice may still say that they live.
func (k *keeper) granted(op *Op) {
	c := k.c
	if op.Fate() != Done || !c.chance(0.5) {
		return
	}
	end := op.Answered + Time(op.Lease.Request.TTL)*Time(time.Second)
	early, late := -100*time.Millisecond, 400*time.Millisecond
	if c.chance(0.5) {
		early, late = 0, tickEvery
	}
	c.at(end+Time(c.between(early, late)), func() {
		n := c.anybody()
		if c.healed || !n.serves() {
			return
		}
		verb := wire.LeaseKeepAlive
		if c.chance(0.5) {
			verb = wire.LeaseTimeToLive
		}
		k.ask(n, leaseOp(wire.Lease{Op: verb, ID: op.Lease.Request.ID}), func() {})
	})
}

func (k *keeper) draw() *Op {
	c := k.c
	if len(k.held) == 0 {
		return k.grant()
	}
	l := k.held[c.rng.IntN(len(k.held))]
	switch n := c.rng.IntN(100); {
	case n < 12:
		return k.grant()
	case n < 35 && (!l.doomed || c.chance(0.1)):
		return leaseOp(wire.Lease{Op: wire.LeaseKeepAlive, ID: l.id})
	case n < 75:
		return k.puts(l.id)
	case n < 91:
		op := leaseOp(wire.Lease{Op: wire.LeaseTimeToLive, ID: l.id})
		op.Lease.Keys = c.chance(0.5)
		return op
	case n < 97:
		return leaseOp(wire.Lease{Op: wire.LeaseRevoke, ID: l.id})
	}
	return leaseOp(wire.Lease{Op: wire.LeaseList})
}

func leaseOp(req wire.Lease) *Op { return &Op{Lease: &LeaseOp{Request: req}} }

// grant takes a lease whose id nobody had before, for as long as the run allows.
func (k *keeper) grant() *Op {
	c := k.c
	c.archive.leases++
	id, longest := c.archive.leases, max(1, int(c.cfg.Load.Length/(2*time.Second)))
	k.held = append(k.held, heldLease{id: id, doomed: c.chance(0.4)})
	if len(k.held) > leasesHeldMax {
		k.held = slices.Delete(k.held, 0, 1)
	}
	ttl := kv.LeaseTTLMin + int64(c.rng.IntN(longest))
	return leaseOp(wire.Lease{Op: wire.LeaseGrant, ID: id, TTL: ttl})
}

// puts hangs some keys on a lease, of one shard or of several, or writes a key that
// keeps its lease, whatever that is.
func (k *keeper) puts(lease kv.LeaseID) *Op {
	c := k.c
	if c.chance(0.1) {
		key := c.keys.all[c.rng.IntN(len(c.keys.all))]
		return single(kv.Op{Put: &kv.PutRequest{Key: key, IgnoreLease: true}})
	}
	txn, taken := &kv.TxnRequest{}, map[string]bool{}
	for range 1 + c.rng.IntN(3) {
		key := c.keys.pick(c.rng, c.keys.shard(c.rng))
		if !taken[string(key)] {
			taken[string(key)] = true
			txn.Success = append(txn.Success, kv.Op{Put: &kv.PutRequest{Key: key, Lease: lease}})
		}
	}
	if c.chance(0.2) {
		txn = &kv.TxnRequest{Success: []kv.Op{{Txn: txn}}}
	}
	return &Op{Txn: txn}
}

// nameValues gives every put of an operation a value of its own.
func nameValues(op *Op) {
	if op.Txn != nil {
		n := 0
		nameTxn(op.ID, op.Txn, &n)
	}
}
