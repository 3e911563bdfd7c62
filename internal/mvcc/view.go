package mvcc

import (
	"fmt"
	"math"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/kv"
)

// View is a state to read or to evaluate in, and what is known around it.
type View struct {
	Reader engine.Reader
	// Overlay lies above Reader. It is nil when nothing in flight matters,
	// as in a read at a revision that waited for what overlaps it.
	Overlay *Overlay
	// Recent, if set, knows newest versions in Reader.
	Recent *Recent
	// At is the revision that the view shows; 0 is the newest state, with
	// everything in the overlay.
	At kv.Revision
	// Current is the cluster's revision as far as it is known. A request
	// that names a higher one is refused.
	Current kv.Revision
	// Compacted is the lowest revision that can still be read; 0 if nothing
	// was ever compacted.
	Compacted kv.Revision
	// BytesMax bounds what a request returns and deletes, keys and values
	// together; what exceeds it is refused with kv.ErrTooLarge. 0 is no bound.
	BytesMax int
	// Leases, if set, says which leases keys can be put on.
	Leases Leases
	// Past, if set, answers the reads that name a revision, whose state is not
	// in Reader.
	Past func(req *kv.RangeRequest) (kv.RangeResponse, error)
}

// newest is a revision above all others, provisional ones included.
const newest kv.Revision = math.MaxInt64

// Range reads. The response's Revision is At, or Current if the request names
// a revision of its own. It returns kv.ErrCompacted, kv.ErrFutureRevision, and
// kv.ErrCorrupt for stored bytes that make no sense.
func (v View) Range(req kv.RangeRequest) (kv.RangeResponse, error) {
	s := getScratch()
	defer s.release()
	s.budget = budget{most: v.BytesMax}
	return v.readRange(&req, layers{
		reader: v.Reader, recent: v.Recent, overlay: v.Overlay, scratch: s, budget: &s.budget,
	})
}

// readRange reads from l, at the revision that req or else v names.
func (v View) readRange(req *kv.RangeRequest, l layers) (kv.RangeResponse, error) {
	if req.Revision != 0 && v.Past != nil {
		return v.Past(req)
	}
	at, err := v.revision(req.Revision)
	if err != nil {
		return kv.RangeResponse{}, err
	}
	if req.Revision != 0 {
		l.own, l.last = nil, nil
	}
	l.at = at
	p := page{req: req, budget: l.budget}
	if err := p.fill(&l); err != nil {
		return kv.RangeResponse{}, err
	}
	p.response.Revision = v.At
	if req.Revision != 0 {
		p.response.Revision = v.Current
	}
	return p.response, nil
}

// revision is what to read at for a request that asks for rev.
func (v View) revision(rev kv.Revision) (kv.Revision, error) {
	if rev > v.Current {
		return 0, fmt.Errorf("%w: %d is asked for, %d is current",
			kv.ErrFutureRevision, int64(rev), int64(v.Current))
	}
	if rev == 0 {
		rev = v.At
	}
	if rev == 0 {
		return newest, nil
	}
	if rev < v.Compacted {
		return 0, fmt.Errorf("%w: %d is asked for, %d is the oldest left",
			kv.ErrCompacted, int64(rev), int64(v.Compacted))
	}
	return rev, nil
}

// page gathers the answer to a range request.
type page struct {
	req      *kv.RangeRequest
	response kv.RangeResponse
	full     bool
	bytes    int
	arena    arena
	budget   *budget
	err      error
}

// fill reads what the request asks for, and no further than it takes.
func (p *page) fill(l *layers) error {
	if p.req.IsPoint() {
		v, live, err := l.live(p.req.Start)
		if err == nil && live {
			p.add(v)
			err = p.err
		}
		return err
	}
	for v, err := range l.scan(p.req.Range, p.req.Reverse) {
		if err != nil {
			return err
		}
		if !p.add(v) {
			break
		}
	}
	return p.err
}

// add takes the next key, and reports whether it wants more.
func (p *page) add(v version) bool {
	if p.req.WantCount || p.req.CountOnly {
		p.response.Count++
	}
	if p.req.CountOnly {
		return true
	}
	if p.full {
		p.response.More = true
		return p.req.WantCount
	}
	p.take(v)
	if p.err != nil {
		return false
	}
	p.full = (p.req.Limit > 0 && len(p.response.KVs) >= p.req.Limit) ||
		(p.req.BytesMax > 0 && p.bytes >= p.req.BytesMax)
	return true
}

func (p *page) take(v version) {
	if p.req.KeysOnly {
		v.Value = nil
	}
	size := len(v.key) + len(v.Value)
	p.bytes += size
	if p.err = p.budget.spend(size); p.err != nil {
		return
	}
	p.arena.reserve(size)
	found := kv.KeyValue{
		Key:            p.arena.clone(v.key),
		CreateRevision: v.Create, ModRevision: v.mod,
		Version: v.Count, Lease: v.Lease,
	}
	if !p.req.KeysOnly {
		found.Value = p.arena.clone(v.Value)
	}
	p.response.KVs = append(p.response.KVs, found)
}

// arena clones byte slices with few allocations: many small clones share one.
type arena struct {
	free []byte
}

// Chunks double up to arenaChunkMax: an answer of one key takes no more than
// that, and a long one does not allocate for each key.
const arenaChunkMax = 16 << 10

// reserve makes room for clones of size bytes.
func (a *arena) reserve(size int) {
	if size > cap(a.free)-len(a.free) {
		a.free = make([]byte, 0, max(size, min(2*cap(a.free), arenaChunkMax)))
	}
}

// clone copies b into the room reserved.
func (a *arena) clone(b []byte) []byte {
	start := len(a.free)
	a.free = append(a.free, b...)
	return a.free[start:len(a.free):len(a.free)]
}
