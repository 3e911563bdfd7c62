package kvtest

import (
	"fmt"
	"math/rand/v2"

	"github.com/miruvor/miruvor/internal/kv"
)

// txnDepthMax is how many transactions stand within one another.
const txnDepthMax = 2

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed)) }

// dice makes random requests. Two dice of one seed make the same requests,
// each with revisions counted from its start.
type dice struct {
	*rand.Rand
	start kv.Revision
}

func (d *dice) chance(percent int) bool { return d.IntN(100) < percent }

func (d *dice) revision() kv.Revision {
	return d.start + kv.Revision(d.IntN(250))
}

// lease is one of a few ids.
func (d *dice) lease() kv.LeaseID { return kv.LeaseID(1 + d.IntN(4)) }

// watch begins now or at a revision up to current, counted from the start.
func (d *dice) watch(current kv.Revision) kv.WatchRequest {
	req := kv.WatchRequest{
		Range:    kv.PointRange(d.key()),
		PrevKV:   d.chance(50),
		NoPut:    d.chance(15),
		NoDelete: d.chance(15),
	}
	if d.chance(60) {
		req.Range = kv.Range{Start: d.key()}
	}
	if d.chance(60) && current > 0 {
		req.From = d.start + 1 + kv.Revision(d.IntN(int(current)))
	}
	return req
}

func (d *dice) key() []byte { return key(fmt.Sprintf("walk/%c", 'a'+d.IntN(8))) }

func (d *dice) keys() kv.Range {
	switch d.IntN(4) {
	case 0:
		return kv.PrefixRange(key("walk/"))
	case 1:
		return kv.Range{Start: d.key(), End: d.key()}
	}
	return kv.PointRange(d.key())
}

func (d *dice) readRequest() kv.RangeRequest {
	req := kv.RangeRequest{
		Range:     d.keys(),
		Limit:     d.IntN(4),
		KeysOnly:  d.chance(20),
		CountOnly: d.chance(20),
		WantCount: d.chance(20),
		Reverse:   d.chance(30),
	}
	if d.chance(20) {
		req.Revision = d.revision()
	}
	return req
}

func (d *dice) txn(depth int) kv.TxnRequest {
	var req kv.TxnRequest
	for range d.IntN(3) {
		req.Compares = append(req.Compares, d.compare())
	}
	req.Success = d.ops(1+d.IntN(3), depth)
	req.Failure = d.ops(d.IntN(3), depth)
	return req
}

func (d *dice) compare() kv.Compare {
	c := kv.Compare{
		Key:      d.key(),
		Target:   kv.Target(d.IntN(5)),
		Relation: kv.Relation(d.IntN(4)),
	}
	if d.chance(20) {
		c.RangeEnd = kv.PrefixRange(key("walk/")).End
	}
	switch c.Target {
	case kv.CompareCreate, kv.CompareMod:
		c.Number = int64(d.revision())
		if d.chance(40) {
			c.Number = 0
		}
	case kv.CompareVersion:
		c.Number = int64(d.IntN(4))
	case kv.CompareLease:
		c.Number = int64(d.IntN(4))
	case kv.CompareValue:
		c.Value = fmt.Append(nil, d.IntN(10))
	}
	return c
}

// ops holds one nested transaction at most: of several, etcd does not compare
// all that they write.
func (d *dice) ops(n, depth int) []kv.Op {
	ops := make([]kv.Op, n)
	for i := range ops {
		ops[i] = d.op(depth)
		if ops[i].Txn != nil {
			depth = txnDepthMax
		}
	}
	return ops
}

func (d *dice) op(depth int) kv.Op {
	switch n := d.IntN(10); {
	case n < 5:
		put := &kv.PutRequest{Key: d.key(), PrevKV: d.chance(30)}
		if put.IgnoreValue = d.chance(10); !put.IgnoreValue {
			put.Value = fmt.Append(nil, d.IntN(10))
		}
		if put.IgnoreLease = d.chance(10); !put.IgnoreLease && d.chance(20) {
			put.Lease = d.lease()
		}
		return kv.Op{Put: put}
	case n < 7:
		return kv.Op{Delete: &kv.DeleteRequest{Range: d.keys(), PrevKV: d.chance(30)}}
	case n == 7 && depth < txnDepthMax:
		nested := d.txn(depth + 1)
		return kv.Op{Txn: &nested}
	}
	req := d.readRequest()
	return kv.Op{Range: &req}
}
