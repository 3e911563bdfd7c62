package raftlog

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

const (
	// readBytesMax bounds one read of neighbouring records, unless a single
	// record is larger.
	readBytesMax = 256 << 10
	// readGapBytes is how much between two records is read along with them.
	readGapBytes = 4 << 10
)

// Entries returns the entries in [lo, hi), as many as fit into maxSize bytes of
// their protobuf encoding, but at least one. The caller owns the slice; the
// entries must not be modified. It returns raft.ErrCompacted if lo is below
// the first entry, raft.ErrUnavailable if hi is above the last plus one, and
// kv.ErrCorrupt if the file does not hold what was written. It may block on
// the file.
func (g *Group) Entries(lo, hi, maxSize uint64) ([]*raftpb.Entry, error) {
	p, err := g.plan(lo, hi, maxSize)
	if err != nil || (p.old == nil && len(p.recent) == 0) {
		return nil, err
	}
	if p.old == nil {
		return p.recent, nil
	}
	entries, err := p.readOld(lo, hi)
	if err != nil {
		return nil, err
	}
	return limit(append(entries, p.recent...), maxSize), nil
}

// readPlan is what Entries has to fetch: runs in files, then entries that are
// in memory. It holds a reference on the segment of each run.
type readPlan struct {
	group  *Group
	old    []run
	recent []*raftpb.Entry
}

func (g *Group) plan(lo, hi, maxSize uint64) (readPlan, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	p := readPlan{group: g}
	if lo <= g.base.Index {
		return p, raft.ErrCompacted
	}
	if hi > g.last+1 {
		return p, raft.ErrUnavailable
	}
	if lo >= hi {
		return p, nil
	}
	recentFirst := g.recentFirst()
	var bytes uint64
	for i := g.index.find(lo); lo < recentFirst && i < len(g.index.runs); i++ {
		r := g.index.runs[i]
		if r.first >= min(hi, recentFirst) || (bytes > maxSize && len(p.old) > 0) {
			break
		}
		bytes += uint64(r.trim(lo, hi-1).bytes)
		r.seg.refs.Add(1)
		p.old = append(p.old, r)
	}
	if hi > recentFirst && bytes <= maxSize {
		part := g.recent[max(lo, recentFirst)-recentFirst : hi-recentFirst]
		part = limit(part, maxSize)
		p.recent = append(make([]*raftpb.Entry, 0, len(part)), part...)
		if n := len(p.old); n > 0 {
			p.old[n-1] = p.old[n-1].trim(0, recentFirst-1)
		}
	}
	return p, nil
}

// limit cuts entries to maxSize bytes, but leaves at least one.
func limit(entries []*raftpb.Entry, maxSize uint64) []*raftpb.Entry {
	var size uint64
	for i, e := range entries {
		size += protoBytes(e)
		if size > maxSize && i > 0 {
			return entries[:i]
		}
	}
	return entries
}

// readOld reads the runs' entries in [lo, hi) and gives the segments back.
func (p readPlan) readOld(lo, hi uint64) ([]*raftpb.Entry, error) {
	defer func() {
		for _, r := range p.old {
			r.seg.refs.Add(-1)
		}
	}()
	var count uint64
	for _, r := range p.old {
		count += uint64(r.trim(lo, hi-1).count)
	}
	out := newEntries(count)
	for rest := p.old; len(rest) > 0; {
		n, end := neighbours(rest)
		start := int64(rest[0].offset)
		buf, err := rest[0].seg.readAt(start, end-start)
		if err != nil {
			return nil, err
		}
		for _, r := range rest[:n] {
			rec := buf[int64(r.offset)-start:][:r.length:r.length]
			if err := out.decode(p.group, r, rec, lo, hi); err != nil {
				return nil, err
			}
		}
		rest = rest[n:]
	}
	return out.list, nil
}

// neighbours returns how many of the runs are worth one read, and where that
// ends.
func neighbours(runs []run) (n int, end int64) {
	start := int64(runs[0].offset)
	end = start + int64(runs[0].length)
	for n = 1; n < len(runs); n++ {
		r := runs[n]
		at, stop := int64(r.offset), int64(r.offset)+int64(r.length)
		same := at == int64(runs[n-1].offset)
		if r.seg != runs[0].seg || (!same && (at < end || at > end+readGapBytes)) ||
			stop-start > readBytesMax {
			break
		}
		end = stop
	}
	return n, end
}

// entrySlab builds entries with few allocations: their data alias the buffers
// that were read.
type entrySlab struct {
	list    []*raftpb.Entry
	entries []raftpb.Entry
	numbers []uint64
}

func newEntries(count uint64) *entrySlab {
	return &entrySlab{
		list:    make([]*raftpb.Entry, 0, count),
		entries: make([]raftpb.Entry, count),
		numbers: make([]uint64, 2*count),
	}
}

// decode adds the entries of r in [lo, hi) from rec, its record.
func (s *entrySlab) decode(g *Group, r run, rec []byte, lo, hi uint64) error {
	bad := func(what string) error { return corrupt(r.seg.path, int64(r.offset), what) }
	raw, n, err := decodeRecord(rec, r.seg.seed)
	if err != nil {
		return bad(err.Error())
	}
	if n != len(rec) || raw.shard != g.shard || (raw.kind != kindEntries && raw.kind != kindMoved) {
		return bad("record is not the one that was written there")
	}
	in, err := readEntries(raw.payload)
	if err != nil {
		return bad(err.Error())
	}
	want := r.trim(lo, hi-1)
	for e, ok := in.next(); ok; e, ok = in.next() {
		if e.index >= want.first {
			s.add(e)
		}
		if e.index == want.last() {
			return nil
		}
	}
	return bad("record lacks entries that were written there")
}

func (s *entrySlab) add(e rawEntry) {
	i := len(s.list)
	out, numbers := &s.entries[i], s.numbers[2*i:2*i+2]
	numbers[0], numbers[1] = e.term, e.index
	out.Term, out.Index = &numbers[0], &numbers[1]
	if e.kind != raftpb.EntryNormal {
		out.Type = e.kind.Enum()
	}
	if len(e.data) > 0 {
		out.Data = e.data
	}
	s.list = append(s.list, out)
}
