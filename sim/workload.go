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
	case n < 28:
		return single(kv.Op{Put: cl.put(shard)})
	case n < 34:
		return single(kv.Op{Delete: cl.deletePoint(shard)})
	case n < 38:
		return single(kv.Op{Delete: &kv.DeleteRequest{
			Range: c.keys.within(c.rng, shard), PrevKV: c.chance(0.5),
		}})
	case n < 52:
		return &Op{Range: &kv.RangeRequest{Range: kv.PointRange(c.keys.pick(c.rng, shard))}}
	case n < 66:
		return &Op{Range: cl.scan(c.keys.anywhere(c.rng))}
	case n < 72:
		r := cl.scan(c.keys.anywhere(c.rng))
		r.Serializable, r.Revision = true, 0
		return &Op{Range: r}
	case n < 90:
		return cl.compareAndSet(shard)
	}
	return &Op{Txn: cl.txn(shard)}
}

// drawPlain makes up an operation on one key.
func (cl *client) drawPlain(shard int) *Op {
	c := cl.c
	switch n := c.rng.IntN(10); {
	case n < 3:
		return single(kv.Op{Put: cl.put(shard)})
	case n < 4:
		return single(kv.Op{Delete: cl.deletePoint(shard)})
	case n < 7:
		return &Op{Range: &kv.RangeRequest{Range: kv.PointRange(c.keys.pick(c.rng, shard))}}
	}
	return cl.compareAndSet(shard)
}

func single(op kv.Op) *Op { return &Op{Txn: &kv.TxnRequest{Success: []kv.Op{op}}} }

func (cl *client) put(shard int) *kv.PutRequest {
	return &kv.PutRequest{Key: cl.c.keys.pick(cl.c.rng, shard), PrevKV: cl.c.chance(0.5)}
}

func (cl *client) deletePoint(shard int) *kv.DeleteRequest {
	return &kv.DeleteRequest{
		Range: kv.PointRange(cl.c.keys.pick(cl.c.rng, shard)), PrevKV: cl.c.chance(0.5),
	}
}

// scan is a read of a range in one of its many ways.
func (cl *client) scan(r kv.Range) *kv.RangeRequest {
	c := cl.c
	req := &kv.RangeRequest{Range: r, Reverse: c.chance(0.2)}
	if c.chance(0.4) {
		req.Limit = 1 + c.rng.IntN(5)
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
	kinds := 6
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
		cmp.Target, cmp.Number = kv.CompareMod, int64(cl.revision)
		cmp.Relation = []kv.Relation{kv.Less, kv.Greater, kv.NotEqual}[cl.c.rng.IntN(3)]
	default:
		cmp.Target, cmp.Number = kv.CompareMod, int64(known.ModRevision)
	}
	return cmp
}

// txn is a transaction of a few operations on the keys of one shard. Puts come first
// and on keys of their own, deletes may only hit others.
func (cl *client) txn(shard int) *kv.TxnRequest {
	c := cl.c
	txn := &kv.TxnRequest{}
	if c.chance(0.5) {
		txn.Compares = append(txn.Compares, cl.compare(c.keys.pick(c.rng, shard)))
	}
	txn.Success = cl.branch(shard)
	if c.chance(0.5) {
		txn.Failure = cl.branch(shard)
	}
	return txn
}

func (cl *client) branch(shard int) []kv.Op {
	c := cl.c
	var ops []kv.Op
	for range 1 + c.rng.IntN(4) {
		var op kv.Op
		switch c.rng.IntN(4) {
		case 0:
			scan := cl.scan(c.keys.within(c.rng, shard))
			op.Range = scan
		case 1:
			op.Delete = cl.deletePoint(shard)
		default:
			op.Put = cl.put(shard)
		}
		whole := &kv.TxnRequest{Success: append(ops[:len(ops):len(ops)], op)}
		if kv.DefaultLimits.CheckTxn(whole) == nil {
			ops = append(ops, op)
		}
	}
	return ops
}

// name gives every put of an operation a value of its own.
func (cl *client) name(op *Op) {
	if op.Txn == nil {
		return
	}
	n := 0
	for _, branch := range [...][]kv.Op{op.Txn.Success, op.Txn.Failure} {
		for _, o := range branch {
			if o.Put != nil {
				o.Put.Value = fmt.Appendf(nil, "%d.%d", op.ID, n)
				n++
			}
		}
	}
}
