package raftlog

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/watermark"
)

// replay reads a log and rebuilds the groups from it. It writes nothing.
type replay struct {
	fs  vfs.FS
	dir string
	log *Log
	// goOn makes the replay note problems and go on where it can; otherwise
	// the first one ends it.
	goOn     bool
	problems []Problem

	segments []*segment
	// leftovers are paths of files that nothing needs.
	leftovers []string
	nextSeq   uint64
	// clean tells that the head may go on where it ends.
	clean bool

	// noted is what was synced for certain. noteErr tells why the note is of no use,
	// with which nothing is lost.
	noted   watermark.Mark
	noteErr error

	// tornFile and tornOffset tell where a torn tail was, if there was one.
	tornFile   string
	tornOffset int64
	window     []byte
}

// problem notes a problem, or makes it the error that ends the replay.
func (r *replay) problem(file string, offset int64, what string) error {
	if !r.goOn {
		return corrupt(file, offset, what)
	}
	r.problems = append(r.problems, Problem{File: file, Offset: offset, What: what})
	return nil
}

func (r *replay) run() error {
	r.nextSeq, r.clean = 1, true
	if err := r.readNote(); err != nil {
		return err
	}
	ids, err := r.list()
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		return r.missesNoted(0)
	}
	if err := r.openSegments(ids); err != nil {
		return err
	}
	for i := range r.segments {
		if err := r.readSegment(i); err != nil {
			return err
		}
	}
	if len(r.problems) > 0 {
		return nil // gaps would be no news
	}
	for _, g := range r.log.groupList() {
		if err := r.finish(g); err != nil {
			return err
		}
	}
	return nil
}

// readNote learns what was synced. Without a note, or with one that is damaged, the
// segments have to tell.
func (r *replay) readNote() error {
	path := r.fs.PathJoin(r.dir, noteName)
	var err error
	r.noted, err = watermark.Read(r.fs, path)
	if !errors.Is(err, watermark.ErrDamaged) {
		return err
	}
	r.noteErr = corrupt(path, 0, err.Error())
	if r.goOn {
		return r.problem(path, 0, err.Error())
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
	if r.noted.File == id && r.noted.Sum != 0 && r.noted.Sum != s.seed {
		what := "it is a segment of another log, or of another time"
		if err := r.problem(path, 0, what); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
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
	if next.prevSeed != 0 && next.prevSeed != s.seed {
		what := "it is not the segment that the next one followed"
		if err := r.problem(s.path, 0, what); err != nil {
			return err
		}
	}
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
	synced := rest.synced
	if r.noted.File == s.head.id {
		synced = max(synced, r.noted.End)
	}
	switch {
	case why == stopContinues || rest.continues:
		return r.problem(s.path, in.offset,
			fmt.Sprintf("the log goes on in segment %d, which is missing", s.head.id+1))
	case synced > in.offset:
		return r.problem(s.path, in.offset,
			fmt.Sprintf("%s, but the file was synced up to %d", why, synced))
	}
	if !r.clean {
		r.tornFile, r.tornOffset = s.path, in.offset
	}
	return r.missesNoted(s.head.id)
}

// missesNoted makes a problem of it if the note tells of a segment behind the
// newest one.
func (r *replay) missesNoted(newest uint64) error {
	if r.noted.File <= newest {
		return nil
	}
	path := r.fs.PathJoin(r.dir, segmentName(r.noted.File))
	return r.problem(path, 0, "segment is missing")
}
