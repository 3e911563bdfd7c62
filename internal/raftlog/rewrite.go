package raftlog

const (
	// rewriteSegments is how many segments the log may span before any
	// live record is rewritten.
	rewriteSegments = 4
	// rewriteBytes is the least that one Append rewrites when it is time.
	rewriteBytes = 128 << 10
)

// rewrite copies live records out of the oldest segment into the batch, at
// most about twice as many bytes as the Append has itself, so that what idle
// groups left behind does not pin the segment for ever. It begins once the log
// is larger than rewriteSegments and mostly garbage.
func (l *Log) rewrite(appendedBytes int64) error {
	victim := l.files.victim()
	if victim == nil {
		return nil
	}
	budget := max(2*appendedBytes, rewriteBytes)
	budget = min(budget, l.opts.SegmentBytes/4, batchBytesGoal)
	groups := l.groupList()
	for range groups {
		l.rewriteHand %= len(groups)
		g := groups[l.rewriteHand]
		used, done, err := l.rewriteGroup(g, victim, budget)
		if err != nil {
			return err
		}
		budget -= used
		l.stats.countRewrite(used)
		if !done {
			return nil
		}
		l.rewriteHand++
	}
	return nil
}

// victim returns the oldest pinned segment, if it is worth rewriting.
func (f *files) victim() *segment {
	var oldest *segment
	var live, total int64
	n := 0
	for _, s := range f.segments {
		if oldest == nil && s.pins == 0 {
			continue
		}
		if oldest == nil {
			oldest = s
		}
		live += s.liveBytes
		total += s.filled
		n++
	}
	if n <= rewriteSegments || live*2 > total {
		return nil
	}
	return oldest
}

// rewriteGroup copies what the group has in victim, up to about budget bytes.
// It reports how many bytes that were, and whether nothing is left there.
func (l *Log) rewriteGroup(g *Group, victim *segment, budget int64) (int64, bool, error) {
	state, runs, done := g.inSegment(victim, budget)
	start := len(l.batch.buf)
	if state {
		l.batch.addPosition(g)
	}
	for _, r := range runs {
		if err := l.batch.addMoved(g, r); err != nil {
			return 0, false, err
		}
	}
	return int64(len(l.batch.buf) - start), done, nil
}

// inSegment lists what the group has in seg: whether its position or hard
// state is there, and runs of about budget bytes; all tells that these are all.
func (g *Group) inSegment(seg *segment, budget int64) (state bool, runs []run, all bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	state = g.baseSeg == seg || g.hardSeg == seg
	for _, r := range g.index.runs {
		if r.seg != seg {
			continue
		}
		if budget <= 0 {
			return state, runs, false
		}
		runs = append(runs, r)
		budget -= int64(r.length)
	}
	return state, runs, true
}

// addMoved encodes a copy of the entries of r, which it reads from their file.
func (b *batch) addMoved(g *Group, r run) error {
	rec, err := r.seg.readAt(int64(r.offset), int64(r.length))
	if err != nil {
		return err
	}
	raw, _, err := decodeRecord(rec, r.seg.seed)
	if err != nil {
		return corrupt(r.seg.path, int64(r.offset), err.Error())
	}
	in, err := readEntries(raw.payload)
	if err != nil {
		return corrupt(r.seg.path, int64(r.offset), err.Error())
	}
	start := b.begin(kindMoved, g)
	b.beginEntries(r.first, uint64(r.count), r.term)
	from := len(b.buf)
	for e, ok := in.next(); ok && e.index <= r.last(); e, ok = in.next() {
		if e.index >= r.first {
			b.buf = append(b.buf, e.raw...)
		}
	}
	endRecord(b.buf, start)
	r.seg, r.offset, r.length = nil, uint32(start), uint32(len(b.buf)-start)
	r.bytes = uint32(len(b.buf) - from)
	b.changes = append(b.changes, change{group: g, kind: kindMoved, run: r})
	return nil
}
