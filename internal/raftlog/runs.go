package raftlog

import (
	"slices"
	"sort"
)

// run locates entries of one term that lie in one record. A run may be a part
// of its record.
type run struct {
	first, term uint64
	seg         *segment
	// offset and length are those of the record, with its header.
	offset, length uint32
	count          uint32
	// bytes is what the entries take in the record.
	bytes uint32
}

func (r run) last() uint64 { return r.first + uint64(r.count) - 1 }

// trim keeps the entries in [lo, hi] only, at least one of them.
func (r run) trim(lo, hi uint64) run {
	lo, hi = max(lo, r.first), min(hi, r.last())
	count := uint32(hi - lo + 1)
	if count != r.count {
		r.bytes = uint32(uint64(r.bytes) * uint64(count) / uint64(r.count))
	}
	r.first, r.count = lo, count
	return r
}

// index is the runs of a group, ordered by entry index and not overlapping. It
// holds a pin on the segment of each.
type index struct {
	runs  []run
	bytes int64
}

// find returns the position of the first run that ends at or above i.
func (x *index) find(i uint64) int {
	return sort.Search(len(x.runs), func(n int) bool { return x.runs[n].last() >= i })
}

// append adds a run behind all others.
func (x *index) append(r run) {
	x.pin(r)
	x.runs = append(x.runs, r)
}

// put makes r the place of its entries, wherever they were before.
func (x *index) put(r run) {
	x.pin(r)
	at := x.find(r.first)
	if at < len(x.runs) && x.runs[at].first == r.first && x.runs[at].count == r.count {
		x.unpin(x.runs[at])
		x.runs[at] = r
		return
	}
	at = x.cut(r.first, r.last())
	x.runs = slices.Insert(x.runs, at, r)
}

// cut removes the entries in [lo, hi] and returns the position of the gap.
func (x *index) cut(lo, hi uint64) int {
	at := x.find(lo)
	end := at
	var keep [2]run
	kept, gap := 0, at
	for ; end < len(x.runs) && x.runs[end].first <= hi; end++ {
		r := x.runs[end]
		if r.first < lo {
			keep[kept] = r.trim(r.first, lo-1)
			kept, gap = kept+1, at+1
		}
		if r.last() > hi {
			keep[kept] = r.trim(hi+1, r.last())
			kept++
		}
		x.unpin(r)
	}
	for _, r := range keep[:kept] {
		x.pin(r)
	}
	x.runs = slices.Replace(x.runs, at, end, keep[:kept]...)
	return gap
}

// take removes the runs that end below i and returns them; their pins are now
// the caller's.
func (x *index) take(i uint64) []run {
	n := x.find(i)
	taken := slices.Clone(x.runs[:n])
	for _, r := range taken {
		x.bytes -= int64(r.bytes)
	}
	x.runs = slices.Delete(x.runs, 0, n)
	return taken
}

// clear removes all runs.
func (x *index) clear() {
	unpinAll(x.runs)
	*x = index{}
}

func (x *index) pin(r run) {
	r.seg.pin(r.bytes)
	x.bytes += int64(r.bytes)
}

func (x *index) unpin(r run) {
	r.seg.unpin(r.bytes)
	x.bytes -= int64(r.bytes)
}

func unpinAll(runs []run) {
	for _, r := range runs {
		r.seg.unpin(r.bytes)
	}
}
