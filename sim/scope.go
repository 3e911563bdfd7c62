package sim

import (
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
)

// scope is the shards whose keys an operation is about, ascending.
type scope []int

// scope is one shard, or some.
func (cl *client) scope() scope {
	shards := len(cl.c.keys.perShard)
	s := scope{cl.c.keys.shard(cl.c.rng)}
	for range cl.c.rng.IntN(min(3, shards)) {
		if other := cl.c.keys.shard(cl.c.rng); !slices.Contains(s, other) {
			s = append(s, other)
		}
	}
	slices.Sort(s)
	return s
}

// key is one of the scope.
func (cl *client) key(s scope) []byte {
	return cl.c.keys.pick(cl.c.rng, s[cl.c.rng.IntN(len(s))])
}

// span is a range of keys inside a shard, or from the first to the last one.
func (cl *client) span(s scope) kv.Range {
	c := cl.c
	if len(s) == 1 || c.chance(0.5) {
		return c.keys.within(c.rng, s[c.rng.IntN(len(s))])
	}
	last := c.keys.pick(c.rng, s[len(s)-1])
	return kv.Range{Start: c.keys.pick(c.rng, s[0]), End: append(slices.Clone(last), 0)}
}

func (cl *client) put(s scope) *kv.PutRequest {
	put := &kv.PutRequest{Key: cl.key(s), PrevKV: cl.c.chance(0.5)}
	keeps := 0.05 // what the key had; some clients like to
	if cl.id%4 == 1 {
		keeps = 0.3
	}
	if !cl.c.cfg.Load.Plain && cl.c.chance(keeps) {
		put.IgnoreValue, put.IgnoreLease = cl.c.chance(0.7), cl.c.chance(0.5)
	}
	return put
}

func (cl *client) deletePoint(s scope) *kv.DeleteRequest {
	return &kv.DeleteRequest{Range: kv.PointRange(cl.key(s)), PrevKV: cl.c.chance(0.5)}
}

// deleteSpan leaves alone what clients with a task of their own keep between the keys.
func (cl *client) deleteSpan(s scope) *kv.DeleteRequest {
	if cl.c.cfg.Load.tasks() > 0 {
		s = s[:1]
	}
	r := cl.span(s)
	if cl.c.cfg.Load.tasks() == 0 && cl.c.chance(0.1) {
		r = cl.c.keys.oddRange(cl.c.rng)
	}
	return &kv.DeleteRequest{Range: r, PrevKV: cl.c.chance(0.5)}
}

// look is a transaction that only reads.
func (cl *client) look(s scope) *kv.TxnRequest {
	c := cl.c
	txn := &kv.TxnRequest{}
	if c.chance(0.3) {
		txn.Compares = append(txn.Compares, cl.condition(s))
	}
	for range 1 + c.rng.IntN(3) {
		txn.Success = append(txn.Success, kv.Op{Range: cl.scan(cl.span(s))})
		txn.Failure = append(txn.Failure, kv.Op{Range: cl.scan(cl.span(s))})
	}
	return txn
}

// nestMax bounds how deep transactions lie in one another.
const nestMax = 2

// txn is a transaction of a few operations, some of them transactions.
func (cl *client) txn(s scope, depth int) *kv.TxnRequest {
	c := cl.c
	txn := &kv.TxnRequest{}
	for range min(c.rng.IntN(4), 2) {
		txn.Compares = append(txn.Compares, cl.condition(s))
	}
	txn.Success = cl.branch(s, depth)
	if c.chance(0.5) {
		txn.Failure = cl.branch(s, depth)
	}
	return txn
}

// condition compares a key with what is known of it, or the keys of a range.
func (cl *client) condition(s scope) kv.Compare {
	c := cl.c
	cmp := cl.compare(cl.key(s))
	if c.chance(0.7) {
		return cmp
	}
	span := cl.span(s)
	cmp.Key, cmp.RangeEnd = span.Start, span.End
	switch c.rng.IntN(3) {
	case 0:
		cmp.Target, cmp.Relation, cmp.Number = kv.CompareVersion, kv.Less, 1+c.rng.Int64N(6)
	case 1:
		cmp.Target, cmp.Relation, cmp.Number = kv.CompareMod, kv.Less, 1+int64(cl.revision)
	default:
		cmp.Target, cmp.Relation, cmp.Number = kv.CompareCreate, kv.NotEqual, 0
	}
	return cmp
}

// branch is a list of operations that may stand beside one another.
func (cl *client) branch(s scope, depth int) []kv.Op {
	c := cl.c
	var ops []kv.Op
	for range 1 + c.rng.IntN(4) {
		op := cl.part(s, depth)
		whole := &kv.TxnRequest{Success: append(ops[:len(ops):len(ops)], op)}
		if kv.DefaultLimits.CheckTxn(whole) == nil {
			ops = append(ops, op)
		}
	}
	return ops
}

func (cl *client) part(s scope, depth int) kv.Op {
	switch n := cl.c.rng.IntN(20); {
	case n < 4:
		return kv.Op{Range: cl.scan(cl.span(s))}
	case n < 7:
		return kv.Op{Delete: cl.deletePoint(s)}
	case n < 9:
		return kv.Op{Delete: cl.deleteSpan(s)}
	case n < 11 && depth < nestMax:
		return kv.Op{Txn: cl.txn(s, depth+1)}
	}
	return kv.Op{Put: cl.put(s)}
}
