package sim

import (
	"fmt"

	"github.com/miruvor/miruvor/internal/kv"
)

// draw makes up the next operation. The values of puts are named later.
func (cl *client) draw() *Op {
	c := cl.c
	shard := c.keys.shard(c.rng)
	if c.cfg.Load.Plain {
		return cl.drawPlain(shard)
	}
	switch n := c.rng.IntN(100); {
	case n < 22:
		return single(kv.Op{Put: cl.put(scope{shard})})
	case n < 27:
		return single(kv.Op{Delete: cl.deletePoint(scope{shard})})
	case n < 32:
		return single(kv.Op{Delete: cl.deleteSpan(cl.scope())})
	case n < 44:
		return &Op{Range: &kv.RangeRequest{Range: kv.PointRange(c.keys.pick(c.rng, shard))}}
	case n < 52:
		return &Op{Range: cl.scan(c.keys.anywhere(c.rng))}
	case n < 63:
		r := cl.scan(c.keys.anywhere(c.rng))
		if c.chance(0.5) {
			r = &kv.RangeRequest{Range: kv.PointRange(c.keys.pick(c.rng, shard))}
		}
		r.Serializable, r.Revision = true, 0
		return &Op{Range: r}
	case n < 78:
		return cl.compareAndSet(shard)
	case n < 82:
		return &Op{Txn: cl.look(cl.scope())}
	case n < 89:
		return &Op{Txn: cl.txn(scope{shard}, 0)}
	}
	return &Op{Txn: cl.txn(cl.scope(), 0)}
}

// drawPlain makes up an operation on one key.
func (cl *client) drawPlain(shard int) *Op {
	c := cl.c
	switch n := c.rng.IntN(10); {
	case n < 3:
		return single(kv.Op{Put: cl.put(scope{shard})})
	case n < 4:
		return single(kv.Op{Delete: cl.deletePoint(scope{shard})})
	case n < 7:
		return &Op{Range: &kv.RangeRequest{Range: kv.PointRange(c.keys.pick(c.rng, shard))}}
	}
	return cl.compareAndSet(shard)
}

func single(op kv.Op) *Op { return &Op{Txn: &kv.TxnRequest{Success: []kv.Op{op}}} }

// scan is a read of a range in one of its many ways.
func (cl *client) scan(r kv.Range) *kv.RangeRequest {
	c := cl.c
	req := &kv.RangeRequest{Range: r, Reverse: c.chance(0.2)}
	if c.chance(0.4) {
		req.Limit = 1 + c.rng.IntN(5)
	}
	if c.chance(0.15) {
		req.BytesMax = 1 + c.rng.IntN(60)
	}
	switch c.rng.IntN(8) {
	case 0:
		req.KeysOnly = true
	case 1:
		req.CountOnly = true
	case 2:
		req.WantCount = true
	}
	if cl.revision > kv.FirstRevision && c.chance(0.2) {
		req.Revision = 1 + kv.Revision(c.rng.Int64N(int64(cl.revision)))
	}
	return req
}

// compareAndSet writes a key if it is still as the client knows it.
func (cl *client) compareAndSet(shard int) *Op {
	key := cl.c.keys.pick(cl.c.rng, shard)
	get := kv.Op{Range: &kv.RangeRequest{Range: kv.PointRange(key)}}
	txn := &kv.TxnRequest{
		Compares: []kv.Compare{cl.compare(key)},
		Success:  []kv.Op{{Put: &kv.PutRequest{Key: key, PrevKV: true}}},
		Failure:  []kv.Op{get},
	}
	if cl.c.chance(0.3) {
		txn.Success = append(txn.Success, get)
	}
	if cl.c.chance(0.1) {
		txn.Success = []kv.Op{{Delete: &kv.DeleteRequest{Range: kv.PointRange(key), PrevKV: true}}}
	}
	return &Op{Txn: txn}
}

func (cl *client) compare(key []byte) kv.Compare {
	known := cl.known[string(key)]
	cmp := kv.Compare{Key: key}
	kinds := 7
	if cl.c.cfg.Load.Plain {
		kinds = 2
	}
	switch cl.c.rng.IntN(kinds) {
	case 0:
		cmp.Target, cmp.Number = kv.CompareVersion, known.Version
	case 1:
		cmp.Target, cmp.Value = kv.CompareValue, known.Value
	case 2:
		cmp.Target, cmp.Number = kv.CompareCreate, int64(known.CreateRevision)
	case 3:
		cmp.Target, cmp.Number = kv.CompareLease, int64(known.Lease)
		cmp.Relation = kv.Relation(cl.c.rng.IntN(4))
	case 4:
		cmp.Target, cmp.Number = kv.CompareMod, int64(cl.revision)
		cmp.Relation = []kv.Relation{kv.Less, kv.Greater, kv.NotEqual}[cl.c.rng.IntN(3)]
	default:
		cmp.Target, cmp.Number = kv.CompareMod, int64(known.ModRevision)
	}
	if !cl.c.cfg.Load.Plain && cl.c.chance(0.15) {
		cmp.Relation = kv.Relation(cl.c.rng.IntN(4))
	}
	return cmp
}

// valuesBytes is about how long values get: as long as a replica remembers, and longer.
const valuesBytes = 24

// name gives every put of an operation a value of its own, but for those that have one.
func (cl *client) name(op *Op) {
	if op.Txn != nil {
		n := 0
		nameTxn(op.ID, op.Txn, &n)
	}
}

func nameTxn(id uint64, txn *kv.TxnRequest, n *int) {
	for _, branch := range [...][]kv.Op{txn.Success, txn.Failure} {
		for _, o := range branch {
			switch {
			case o.Txn != nil:
				nameTxn(id, o.Txn, n)
			case o.Put != nil && o.Put.Value == nil && !o.Put.IgnoreValue:
				o.Put.Value = fmt.Appendf(nil, "%0*d.%d", id%valuesBytes, id, *n)
				*n++
			}
		}
	}
}
