package raftlog

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// replay reads a log and rebuilds the groups from it. It writes nothing.
type replay struct {
	fs  vfs.FS
	dir string
	log *Log
	// report, if set, is told of what is wrong and the replay goes on where
	// it can; otherwise the first problem ends it.
	report func(Problem)

	segments []*segment
	// leftovers are paths of files that nothing needs.
	leftovers []string
	nextSeq   uint64
	// clean tells that the head may go on where it ends.
	clean bool

	// tornFile and tornOffset tell where a torn tail was, if there was one.
	tornFile   string
	tornOffset int64
	problems   int
	window     []byte
}

// Problem is something that is wrong with a log.
type Problem struct {
	File   string
	Offset int64
	What   string
}

func (p Problem) String() string {
	return fmt.Sprintf("%s at offset %d: %s", p.File, p.Offset, p.What)
}

// problem reports p, or makes it the error that ends the replay.
func (r *replay) problem(file string, offset int64, what string) error {
	if r.report == nil {
		return corrupt(file, offset, what)
	}
	r.problems++
	r.report(Problem{File: file, Offset: offset, What: what})
	return nil
}

func (r *replay) run() error {
	r.nextSeq, r.clean = 1, true
	ids, err := r.list()
	if err != nil || len(ids) == 0 {
		return err
	}
	if err := r.openSegments(ids); err != nil {
		return err
	}
	for i := range r.segments {
		if err := r.readSegment(i); err != nil {
			return err
		}
	}
	if r.problems > 0 {
		return nil // gaps would be no news
	}
	for _, g := range r.log.groupList() {
		if err := r.finish(g); err != nil {
			return err
		}
	}
	return nil
}

// list returns the ids of the segment files, sorted, and notes spare files.
func (r *replay) list() ([]uint64, error) {
	names, err := r.fs.List(r.dir)
	if err != nil {
		return nil, fmt.Errorf("list raft log: %w", err)
	}
	slices.Sort(names)
	var ids []uint64
	for _, name := range names {
		if id, ok := parseName(name, segmentSuffix); ok {
			ids = append(ids, id)
		} else if _, ok := parseName(name, spareSuffix); ok {
			r.leftovers = append(r.leftovers, r.fs.PathJoin(r.dir, name))
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// openSegments opens the segments from the newest one's floor on; older files
// are leftovers whatever they hold.
func (r *replay) openSegments(ids []uint64) error {
	newest := ids[len(ids)-1]
	head, err := r.openSegment(newest)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if id < head.head.floor {
			r.leftovers = append(r.leftovers, r.fs.PathJoin(r.dir, segmentName(id)))
		}
	}
	r.segments = []*segment{head}
	for id := newest - 1; id >= head.head.floor; id-- {
		s, err := r.openSegment(id)
		if err != nil {
			return err
		}
		r.segments = slices.Insert(r.segments, 0, s)
	}
	r.nextSeq = r.segments[0].head.firstSeq
	return nil
}

// openSegment opens a segment that has to exist, for reading, and checks its
// header. Without that no replay can go on, so a problem here is an error in
// any case.
func (r *replay) openSegment(id uint64) (*segment, error) {
	path := r.fs.PathJoin(r.dir, segmentName(id))
	file, err := r.fs.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, corrupt(path, 0, "segment is missing")
	}
	if err != nil {
		return nil, fmt.Errorf("open raft log segment: %w", err)
	}
	s := &segment{path: path, file: file}
	if err := s.readHeader(id); err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.capacity = max(r.log.opts.SegmentBytes, s.filled)
	return s, nil
}

func (s *segment) readHeader(id uint64) error {
	info, err := s.file.Stat()
	if err != nil {
		return fmt.Errorf("stat raft log %s: %w", s.path, err)
	}
	s.filled = info.Size()
	if s.filled < segmentHeaderBytes {
		return corrupt(s.path, s.filled, "segment header is cut short")
	}
	b, err := s.readAt(0, segmentHeaderBytes)
	if err != nil {
		return err
	}
	s.head, err = decodeSegmentHeader(b, id)
	if errors.Is(err, ErrNewerVersion) {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	if err != nil {
		return corrupt(s.path, 0, err.Error())
	}
	if s.filled < int64(s.head.bytes) {
		return corrupt(s.path, s.filled, fmt.Sprintf("file was %d bytes once", s.head.bytes))
	}
	s.seed, s.end = s.head.seed(), segmentHeaderBytes
	return nil
}

// readSegment replays a segment and sets its end.
func (r *replay) readSegment(i int) error {
	s := r.segments[i]
	if s.head.firstSeq != r.nextSeq {
		what := fmt.Sprintf("segment begins with batch %d instead of %d",
			s.head.firstSeq, r.nextSeq)
		if err := r.problem(s.path, 0, what); err != nil {
			return err
		}
	}
	in := scanner{
		window: window{file: s.file, size: s.filled, buf: r.window[:0]},
		seed:   s.seed, offset: segmentHeaderBytes, nextSeq: s.head.firstSeq,
	}
	if i+1 == len(r.segments) {
		return r.readHead(&in, s)
	}
	return r.readSealed(&in, s, r.segments[i+1].head)
}

// readBatches replays batches until there is none. It returns why it stopped.
func (r *replay) readBatches(in *scanner, s *segment) (stop, error) {
	defer func() { r.window = in.window.buf }()
	for {
		at := in.offset
		b, err := in.next()
		if why, ok := errors.AsType[stop](err); ok {
			return why, nil
		}
		if err != nil {
			return "", fmt.Errorf("raft log %s: %w", s.path, err)
		}
		if err := r.apply(s, at, b); err != nil {
			return "", err
		}
	}
}

// readSealed replays a segment that has a successor, whose header says where
// it ends. All of that was on stable storage.
func (r *replay) readSealed(in *scanner, s *segment, next segmentHeader) error {
	in.limit = next.prevEnd
	for {
		why, err := r.readBatches(in, s)
		if err != nil {
			return err
		}
		if why == stopSealed && in.nextSeq == next.firstSeq {
			break
		}
		if err := r.problem(s.path, in.offset, fmt.Sprintf(
			"%s, but the next segment says that this one was synced up to %d",
			why, in.limit)); err != nil {
			return err
		}
		rest, err := in.tail(in.offset + batchAlign)
		if err != nil {
			return err
		}
		if rest.first == 0 || rest.first >= in.limit {
			break
		}
		in.offset, in.nextSeq = rest.first, rest.firstSeq
	}
	s.end, r.nextSeq = in.limit, next.firstSeq
	return nil
}

// readHead replays the last segment and decides what its end is: where the
// writer stopped, a torn tail, or damage to bytes that were on stable storage.
func (r *replay) readHead(in *scanner, s *segment) error {
	why, err := r.readBatches(in, s)
	if err != nil {
		return err
	}
	from := in.offset
	if why == stopMarker {
		from += batchHeaderBytes
	}
	rest, err := in.tail(from)
	if err != nil {
		return fmt.Errorf("raft log %s: %w", s.path, err)
	}
	s.end, r.nextSeq, r.clean = in.offset, in.nextSeq, rest.first == 0
	switch {
	case why == stopContinues || rest.continues:
		return r.problem(s.path, in.offset,
			fmt.Sprintf("the log goes on in segment %d, which is missing", s.head.id+1))
	case rest.synced > in.offset:
		return r.problem(s.path, in.offset,
			fmt.Sprintf("%s, but the file was synced up to %d", why, rest.synced))
	}
	if !r.clean {
		r.tornFile, r.tornOffset = s.path, in.offset
	}
	return nil
}

// apply replays the records of a batch that lies at offset at.
func (r *replay) apply(s *segment, at int64, b scanned) error {
	offset, rest := at+batchHeaderBytes, b.body
	for n := uint32(0); n < b.header.records; n++ {
		rec, size, err := decodeRecord(rest, s.seed)
		if err == nil {
			err = r.applyRecord(rec, run{seg: s, offset: uint32(offset), length: uint32(size)})
		}
		if err != nil {
			return r.problem(s.path, offset, err.Error())
		}
		offset, rest = offset+int64(size), rest[size:]
	}
	if len(rest) > 0 {
		return r.problem(s.path, offset, fmt.Sprintf("%d bytes left over in the batch", len(rest)))
	}
	return nil
}

// applyRecord replays a record that lies at place. Until the end the groups may
// have gaps: what filled them in the dead segments is either overridden later
// or repeated later.
func (r *replay) applyRecord(rec rawRecord, place run) error {
	g := r.log.Group(rec.shard)
	in := fields{b: rec.payload}
	switch rec.kind {
	case kindEntries, kindMoved:
		return g.replayEntries(rec, place)
	case kindHard:
		hard := in.hard()
		if in.end() == nil {
			g.setHard(hard, place.seg)
		}
	case kindState:
		base, hard := in.position(), in.hard()
		if in.end() == nil {
			g.replayState(base, hard, place.seg)
		}
	case kindReset:
		base := in.position()
		if in.end() == nil {
			g.reset(base, place.seg)
		}
	case kindRemove:
		if in.end() == nil {
			g.remove()
		}
	default:
		return fmt.Errorf("record is of unknown kind %d", rec.kind)
	}
	return in.end()
}

func (g *Group) replayEntries(rec rawRecord, place run) error {
	in, err := readEntries(rec.payload)
	if err != nil {
		return err
	}
	place.first, place.term, place.count = in.index, in.term, uint32(in.left)
	place.bytes = uint32(len(in.rest.b))
	for ok := true; ok; {
		_, ok = in.next()
	}
	if err := in.end(); err != nil {
		return err
	}
	if rec.kind == kindEntries {
		g.appendRun(place, nil)
		return nil
	}
	g.moveRun(place)
	return nil
}

func (g *Group) replayState(base Position, hard hardState, seg *segment) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.base, g.hard = base, hard
	g.last = max(g.last, base.Index)
	g.dropBelowBase()
	repin(&g.baseSeg, seg)
	repin(&g.hardSeg, seg)
}

// dropBelowBase drops the runs that end at or below base.
func (g *Group) dropBelowBase() {
	unpinAll(g.index.take(g.base.Index + 1))
}

// finish checks that the group's log has no gap.
func (r *replay) finish(g *Group) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dropBelowBase()
	next := g.base.Index + 1
	for i, s := range g.index.runs {
		if s.first > next || (i > 0 && s.first < next) {
			return r.problem(s.seg.path, int64(s.offset),
				fmt.Sprintf("%v: entries begin at %d instead of %d", g.shard, s.first, next))
		}
		next = s.last() + 1
	}
	if next != g.last+1 {
		return r.problem(r.dir, 0,
			fmt.Sprintf("%v: entries end at %d instead of %d", g.shard, next-1, g.last))
	}
	return nil
}
