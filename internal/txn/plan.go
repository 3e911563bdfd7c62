package txn

import (
	"bytes"
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/wire"
)

// planner finds out what to lock and to read in each shard.
type planner struct {
	try    *Try
	shards *placement.Map
	parts  map[kv.ShardID]*part
	// doomed are the ranges that some branch deletes.
	doomed []kv.Range
	// points are the keys that were looked at by themselves: the end of a lease
	// looks at many, some times each.
	points map[string]*point
}

// point is where a key stands in its part: its lock, and whether its value is read.
type point struct {
	lock  int
	value bool
}

func (p *planner) plan(req *kv.TxnRequest) {
	p.findDoomed(req)
	p.txn(req)
}

func (p *planner) findDoomed(req *kv.TxnRequest) {
	for _, ops := range [2][]kv.Op{req.Success, req.Failure} {
		for _, op := range ops {
			switch {
			case op.Delete != nil:
				p.doomed = append(p.doomed, op.Delete.Range)
			case op.Txn != nil:
				p.findDoomed(op.Txn)
			}
		}
	}
}

// txn plans all that may have to be known or written, whichever way the
// compares go.
func (p *planner) txn(req *kv.TxnRequest) {
	for i := range req.Compares {
		c := &req.Compares[i]
		p.look(kv.RangeRequest{Range: c.Keys(), KeysOnly: c.Target != kv.CompareValue}, false)
	}
	for _, ops := range [2][]kv.Op{req.Success, req.Failure} {
		for _, op := range ops {
			p.op(op)
		}
	}
}

func (p *planner) op(op kv.Op) {
	switch {
	case op.Txn != nil:
		p.txn(op.Txn)
	case op.Range != nil && op.Range.Revision != 0:
		p.lookBack(op.Range)
	case op.Range != nil:
		p.look(p.narrow(op.Range), false)
	case op.Put != nil:
		p.look(kv.RangeRequest{
			Range:    kv.PointRange(op.Put.Key),
			KeysOnly: !op.Put.PrevKV && !op.Put.IgnoreValue,
		}, true)
		p.lease(op.Put)
	case op.Delete != nil:
		p.look(kv.RangeRequest{Range: op.Delete.Range, KeysOnly: !op.Delete.PrevKV}, true)
	}
}

// narrow is what has to be read for a range operation. Its limit can only be
// left to the shards if nothing before it takes keys away.
func (p *planner) narrow(req *kv.RangeRequest) kv.RangeRequest {
	out := kv.RangeRequest{
		Range: req.Range, Reverse: req.Reverse, KeysOnly: req.KeysOnly || req.CountOnly,
	}
	taken := slices.ContainsFunc(p.doomed, req.Overlaps)
	if req.Limit > 0 && !req.CountOnly && !req.WantCount && !taken {
		out.Limit = req.Limit + 1
	}
	return out
}

// look adds a read of the latest state, and its lock, in every shard that it
// reaches into.
func (p *planner) look(req kv.RangeRequest, writes bool) {
	if key := req.Start; bytes.Equal(req.End, kv.PointRange(key).End) {
		p.lookAt(req, writes)
		return
	}
	for _, s := range p.shards.Overlapping(req.Range) {
		part, in := p.part(s), req
		in.Range = req.Range.Intersect(s.Range)
		part.writes = part.writes || writes
		part.prepare.Locks = append(part.prepare.Locks,
			wire.Lock{Range: in.Range, Write: writes})
		if !covered(part.wide, &in) {
			part.prepare.Gather.Reads = append(part.prepare.Gather.Reads, in)
			part.wide = append(part.wide, in)
		}
	}
}

// lookAt is look for a single key.
func (p *planner) lookAt(req kv.RangeRequest, writes bool) {
	part := p.part(*p.shards.Locate(req.Start))
	part.writes = part.writes || writes
	prepare := &part.prepare
	at := p.points[string(req.Start)]
	fresh := at == nil
	if fresh {
		at = &point{lock: len(prepare.Locks)}
		p.points[string(req.Start)] = at
		prepare.Locks = append(prepare.Locks, wire.Lock{Range: req.Range})
	}
	lock := &prepare.Locks[at.lock]
	lock.Write = lock.Write || writes
	if (fresh || !at.value && !req.KeysOnly) && !covered(part.wide, &req) {
		prepare.Gather.Reads = append(prepare.Gather.Reads, req)
	}
	at.value = at.value || !req.KeysOnly
}

// covered reports whether some read brings all that another would.
func covered(reads []kv.RangeRequest, req *kv.RangeRequest) bool {
	return slices.ContainsFunc(reads, func(r kv.RangeRequest) bool {
		return r.Limit == 0 && (!r.KeysOnly || req.KeysOnly) && r.ContainsRange(req.Range)
	})
}

// lookBack adds a read at a revision of the past, which needs no lock.
func (p *planner) lookBack(req *kv.RangeRequest) {
	past := pastRead{req: req}
	over := p.shards.Overlapping(req.Range)
	if len(over) == 0 { // an empty range is refused like others, for its revision
		over = []placement.Shard{*p.shards.Locate(req.Start)}
	}
	for _, s := range over {
		part, in := p.part(s), *req
		in.Range = req.Range.Intersect(s.Range)
		in.Serializable = false
		part.prepare.Gather.Reads = append(part.prepare.Gather.Reads, in)
		past.places = append(past.places, place{part, len(part.prepare.Gather.Reads) - 1})
	}
	p.try.past = append(p.try.past, past)
}

// lease notes that a key of a shard is to hang on a lease.
func (p *planner) lease(put *kv.PutRequest) {
	if put.Lease == 0 {
		return
	}
	part := p.part(*p.shards.Locate(put.Key))
	if !slices.Contains(part.prepare.Leases, put.Lease) {
		part.prepare.Leases = append(part.prepare.Leases, put.Lease)
	}
}

func (p *planner) part(s placement.Shard) *part {
	if p.parts[s.ID] == nil {
		p.parts[s.ID] = &part{shard: s}
		p.try.parts = append(p.try.parts, p.parts[s.ID])
	}
	return p.parts[s.ID]
}

// keyOrder compares by key.
func keyOrder(a, b kv.KeyValue) int { return bytes.Compare(a.Key, b.Key) }
