package worker

import (
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/wire"
)

// walk is a range over several shards. Without a limit all shards are read at
// once; with one they are read in the order of the keys, until it is reached.
type walk struct {
	shards []placement.Shard
	// parts are the answers, in the order of shards.
	parts []*kv.RangeResponse
	// legs are those under way, by their place in shards.
	legs     map[*leg]int
	parallel bool
	// keys and bytes are what was found so far.
	keys, bytes int
}

// walk begins to visit the shards of a range.
func (w *Worker) walk(now wire.Instant, c *call, over []placement.Shard) {
	req := c.req.Range
	over = slices.Clone(over)
	if req.Reverse {
		slices.Reverse(over)
	}
	c.plan = &walk{
		shards: over, parts: make([]*kv.RangeResponse, len(over)), legs: map[*leg]int{},
		parallel: (req.Limit == 0 && req.BytesMax == 0) || req.CountOnly || req.WantCount ||
			req.Serializable,
	}
	if !c.plan.parallel {
		w.visit(now, c, 0)
		return
	}
	for i := range over {
		w.visit(now, c, i)
	}
}

// visit asks the i'th shard for what may still be missing. When the limit is
// reached, it only asks whether there is more.
func (w *Worker) visit(now wire.Instant, c *call, i int) {
	p, req := c.plan, c.req.Range
	part := w.part(c, p.shards[i])
	if !p.parallel {
		full := false
		if req.Limit > 0 {
			part.Limit = req.Limit - p.keys
			full = part.Limit <= 0
		}
		if req.BytesMax > 0 {
			part.BytesMax = req.BytesMax - p.bytes
			full = full || (part.BytesMax <= 0 && p.keys > 0)
		}
		if full {
			part.Limit, part.BytesMax, part.KeysOnly = 1, 0, true
		}
	}
	l := &leg{shard: p.shards[i].ID, key: part.Start, req: wire.Request{Range: part}}
	p.legs[l] = i
	w.start(now, c, l)
}

// step takes the answer of one shard.
func (w *Worker) step(now wire.Instant, c *call, l *leg, part *kv.RangeResponse) {
	p, req := c.plan, c.req.Range
	i := p.legs[l]
	p.parts[i] = part
	delete(p.legs, l)
	if p.parallel {
		if len(p.legs) == 0 && !w.align(now, c) {
			w.finish(c, Reply{Range: p.merge(req)})
		}
		return
	}
	p.keys += len(part.KVs)
	p.bytes += part.Size()
	over := req.Limit > 0 && p.keys > req.Limit
	if over || part.More || l.req.Range.KeysOnly != req.KeysOnly && len(part.KVs) > 0 ||
		i+1 == len(p.shards) {
		w.finish(c, Reply{Range: p.merge(req)})
		return
	}
	w.visit(now, c, i+1)
}

// align makes serializable parts agree on a revision: the lowest that a shard
// answered with is read again in the others. It reports whether it asked.
func (w *Worker) align(now wire.Instant, c *call) bool {
	p := c.plan
	if !c.req.Range.Serializable {
		return false
	}
	lowest := kv.RevisionMax
	for _, part := range p.parts {
		lowest = min(lowest, part.Revision)
	}
	asked := false
	c.at = lowest
	for i, part := range p.parts {
		if part.Revision != lowest {
			w.visit(now, c, i)
			asked = true
		}
	}
	return asked
}

// merge joins the parts and cuts them to the limits.
func (p *walk) merge(req *kv.RangeRequest) *kv.RangeResponse {
	out := &kv.RangeResponse{}
	for _, part := range p.parts {
		if part == nil {
			continue
		}
		out.Revision = part.Revision
		out.Count += part.Count
		out.More = out.More || part.More
		out.KVs = append(out.KVs, part.KVs...)
	}
	if n := req.Fit(out.KVs); n < len(out.KVs) {
		out.KVs, out.More = out.KVs[:n], true
	}
	return out
}
