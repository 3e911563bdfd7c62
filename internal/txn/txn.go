package txn

import (
	"fmt"
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/wire"
)

// Try is one try of a transaction over several shards.
type Try struct {
	ID  wire.TxnID
	req *kv.TxnRequest
	// parts are those of the shards, in the order of their keys.
	parts   []*part
	primary *part
	// at is the revision that reads without one are at, if NeedsRevision.
	at kv.Revision
	// past are the reads at revisions of their own.
	past []pastRead
	// eval is what the transaction comes to, once evaluated.
	eval mvcc.Evaluation
}

// part is what a try wants of one shard, and what it was told.
type part struct {
	shard    placement.Shard
	prepare  wire.Prepare
	writes   bool
	prepared *wire.Prepared
	// wide are those of its reads that are of more than a key.
	wide []kv.RangeRequest
}

// pastRead is a read that names its revision, and its places in the parts.
type pastRead struct {
	req    *kv.RangeRequest
	places []place
}

type place struct {
	part *part
	read int
}

// New plans a try over the shards of a map, which must be more than one. here
// tells of which shards the coordinator is beside the leader; the primary is
// one of those, if one writes.
func New(
	id wire.TxnID, req *kv.TxnRequest, m *placement.Map, here func(kv.ShardID) bool,
) *Try {
	t := &Try{ID: id, req: req}
	p := planner{
		try: t, shards: m, parts: map[kv.ShardID]*part{}, points: map[string]*point{},
	}
	p.plan(req)
	slices.SortFunc(t.parts, func(a, b *part) int { return int(a.shard.ID) - int(b.shard.ID) })
	for _, part := range t.parts {
		part.prepare.Txn = id
		if t.primary == nil || !t.primary.writes && part.writes ||
			part.writes && here(part.shard.ID) && !here(t.primary.shard.ID) {
			t.primary = part
		}
	}
	for _, part := range t.parts {
		part.prepare.Primary = t.primary.shard.ID
	}
	return t
}

// ReadOnly reports whether the try locks nothing: it is gathered at a revision.
func (t *Try) ReadOnly() bool { return mvcc.ReadOnly(t.req) }

// NeedsRevision reports whether a current revision has to be known before
// anything is asked.
func (t *Try) NeedsRevision() bool { return t.ReadOnly() || mvcc.HasRevision(t.req) }

// Requests are what to ask of each shard, by shard: a Prepare, or if the try
// only reads, a Gather. at is the revision to read at if NeedsRevision.
func (t *Try) Requests(at kv.Revision) map[kv.ShardID]wire.Request {
	t.at = at
	requests := map[kv.ShardID]wire.Request{}
	for _, p := range t.parts {
		prepare := p.prepare // what is sent stays as it is
		prepare.Gather.At = at
		if t.ReadOnly() {
			requests[p.shard.ID] = wire.Request{Gather: &prepare.Gather}
		} else {
			requests[p.shard.ID] = wire.Request{Prepare: &prepare}
		}
	}
	return requests
}

// WaitInLine has the shards let the try wait for locks. They must then be asked
// one after the other, in the order of Shards.
func (t *Try) WaitInLine() {
	for _, p := range t.parts {
		p.prepare.Wait = true
	}
}

// At is the revision that was given to Requests.
func (t *Try) At() kv.Revision { return t.at }

// Shards are those that take part, ascending.
func (t *Try) Shards() []placement.Shard {
	list := make([]placement.Shard, len(t.parts))
	for i, p := range t.parts {
		list[i] = p.shard
	}
	return list
}

// Primary is the shard whose record decides.
func (t *Try) Primary() kv.ShardID { return t.primary.shard.ID }

// Take takes a shard's answer, and reports whether it was the last one.
func (t *Try) Take(shard kv.ShardID, resp *wire.Response) (all bool, err error) {
	all = true
	for _, p := range t.parts {
		if p.shard.ID == shard {
			p.prepared = resp.Prepared
			if resp.Gathered != nil {
				p.prepared = &wire.Prepared{Gathered: *resp.Gathered}
			}
			if p.prepared == nil ||
				len(p.prepared.Gathered.Parts) != len(p.prepare.Gather.Reads) {
				return false, fmt.Errorf("%w: shard %v answers something else",
					kv.ErrCorrupt, shard)
			}
		}
		all = all && p.prepared != nil
	}
	return all, nil
}

// Writes reports whether the evaluated try writes anything.
func (t *Try) Writes() bool { return len(t.eval.Writes) > 0 }

// Bytes is roughly what the writes take in the log.
func (t *Try) Bytes() int {
	n := 0
	for i := range t.eval.Writes {
		n += len(t.eval.Writes[i].Key) + len(t.eval.Writes[i].Value) + writeBytes
	}
	return n
}

// writeBytes is roughly what a write takes beside its key and value.
const writeBytes = 24

// Active implements mvcc.Leases: a key can be put on a lease that its shard was
// told of.
func (t *Try) Active(key []byte, id kv.LeaseID) bool {
	return !slices.Contains(t.partOf(key).prepared.Missing, id)
}

// ShardOf is the shard of a key that the transaction names.
func (t *Try) ShardOf(key []byte) kv.ShardID { return t.partOf(key).shard.ID }

func (t *Try) partOf(key []byte) *part {
	for _, p := range t.parts {
		if p.shard.Range.Contains(key) {
			return p
		}
	}
	return nil
}

// Commit is what to ask of the primary shard, at a revision that was taken
// after all shards were prepared.
func (t *Try) Commit(rev kv.Revision) *wire.Decide {
	t.eval.Resolve(func(uint64) (kv.Revision, bool) { return rev, true })
	parts := mvcc.Split(t.eval.Writes, func(key []byte) kv.ShardID {
		return t.partOf(key).shard.ID
	})
	d := &wire.Decide{Txn: t.ID, Revision: rev, Token: t.primary.prepared.Token}
	for _, p := range t.parts {
		var effect []byte
		if writes := parts[p.shard.ID]; writes != nil {
			effect = mvcc.AppendPart(nil, writes)
		}
		if p == t.primary {
			d.Effect = effect
			continue
		}
		d.Others = append(d.Others, wire.Part{
			Shard: p.shard.ID, Token: p.prepared.Token, Effect: effect,
		})
	}
	return d
}

// Response is the answer of the evaluated try: rev is its own if it writes,
// else the one that it read at.
func (t *Try) Response(rev kv.Revision) *kv.TxnResponse {
	t.eval.SetRevision(rev)
	return &t.eval.Response
}
