package raftlog

import (
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/watermark"
)

// files is the log's directory: the segments, of which the last is the head,
// and dead ones to reuse.
type files struct {
	opts     Options
	stats    *stats
	segments []*segment
	// spares are paths of files that nothing needs.
	spares []string
	// retired are dead segments that a reader may still be reading.
	retired []*segment
	nextSeq uint64
	// synced is the offset in the head below which all is on stable storage.
	synced int64
	// note says, outside of the head, what is synced.
	note *watermark.Note
}

// noteName is the file of the note.
const noteName = "SYNCED"

func (f *files) head() *segment { return f.segments[len(f.segments)-1] }

func (f *files) path(name string) string { return f.opts.FS.PathJoin(f.opts.Dir, name) }

func (f *files) makeDir() error {
	fs := f.opts.FS
	if _, err := fs.Stat(f.opts.Dir); err == nil {
		return nil
	}
	if err := fs.MkdirAll(f.opts.Dir, 0o755); err != nil {
		return fmt.Errorf("make raft log directory: %w", err)
	}
	return syncDir(fs, fs.PathDir(f.opts.Dir))
}

// resume makes the log ready for appends after a recovery. A head whose tail is
// clean goes on; else leftovers of a torn write could come back to life, so
// the next segment begins, and its header says where this one ended.
func (f *files) resume(nextSeq uint64, clean bool) error {
	f.nextSeq = nextSeq
	var err error
	f.note, err = watermark.Open(f.opts.FS, f.path(noteName), watermark.Mark{})
	if err != nil {
		return fmt.Errorf("raft log: %w", err)
	}
	if len(f.segments) == 0 {
		return f.begin(segmentHeader{id: 1, floor: 1, firstSeq: nextSeq}, 0)
	}
	head := f.head()
	if err := f.reopen(head); err != nil {
		return fmt.Errorf("reopen raft log %s: %w", head.path, err)
	}
	f.synced = head.end
	if err := f.tidySpares(); err != nil {
		return err
	}
	if err := syncDir(f.opts.FS, f.opts.Dir); err != nil {
		return err
	}
	if !clean {
		return f.rotate(0)
	}
	return f.mark()
}

// reopen makes a recovered segment writable, and what it holds durable.
func (f *files) reopen(s *segment) error {
	file, err := f.opts.FS.OpenReadWrite(s.path, diskCategory)
	if err != nil {
		return err
	}
	err = errors.Join(file.Sync(), s.close())
	s.file = file
	return err
}

// rotate syncs the head and begins the next segment, large enough for a batch
// of batchBytes. Segments that nothing needs any more become spares.
func (f *files) rotate(batchBytes int64) error {
	old := f.head()
	if f.synced < old.end {
		if err := f.timedSync(old.file); err != nil {
			return fmt.Errorf("sync raft log %s: %w", old.path, err)
		}
	}
	h := segmentHeader{
		id: old.head.id + 1, prevEnd: old.end, prevSeed: old.seed, firstSeq: f.nextSeq,
	}
	h.floor = h.id
	for _, s := range f.segments {
		if s.pins > 0 {
			h.floor = s.head.id
			break
		}
	}
	if err := f.begin(h, batchBytes); err != nil {
		return err
	}
	if err := f.markContinues(old); err != nil {
		return err
	}
	return f.retire(h.floor)
}

// markContinues notes at the end of a segment that the next one exists, before
// that holds anything: so its loss would be noticed.
func (f *files) markContinues(s *segment) error {
	h := batchHeader{seq: f.nextSeq, synced: uint32(s.end), bodySum: markContinues}
	if err := s.writeMarker(h); err != nil {
		return err
	}
	return f.timedSync(s.file)
}

// begin makes a segment and puts it at the end. The file gets its name only
// when its header is on stable storage, so a named file with a bad header is
// corrupt, whatever happened.
func (f *files) begin(h segmentHeader, batchBytes int64) error {
	h.salt = mix(f.opts.Salt, h.id)
	s := &segment{
		head:     h,
		seed:     h.seed(),
		path:     f.path(segmentName(h.id)),
		capacity: max(f.opts.SegmentBytes, segmentHeaderBytes+batchBytes+batchHeaderBytes),
		end:      segmentHeaderBytes,
	}
	spare, err := f.openSpare(s)
	if err != nil {
		return fmt.Errorf("make raft log segment %d: %w", h.id, err)
	}
	f.segments = append(f.segments, s)
	f.synced = s.end
	if err := f.initialize(s); err != nil {
		return fmt.Errorf("write raft log segment %d: %w", h.id, err)
	}
	if err := f.opts.FS.Rename(spare, s.path); err != nil {
		return fmt.Errorf("name raft log segment %d: %w", h.id, err)
	}
	return syncDir(f.opts.FS, f.opts.Dir)
}

// openSpare opens a file for s: an old one or, if there is none, a new one.
func (f *files) openSpare(s *segment) (path string, err error) {
	path = f.path(spareName(s.head.id))
	if n := len(f.spares); n > 0 {
		path, f.spares = f.spares[n-1], f.spares[:n-1]
	} else if err := f.create(path); err != nil {
		return "", err
	}
	if s.file, err = f.opts.FS.OpenReadWrite(path, diskCategory); err != nil {
		return "", err
	}
	info, err := s.file.Stat()
	if err != nil {
		return "", errors.Join(err, s.close())
	}
	s.filled = info.Size()
	s.capacity = max(s.capacity, s.filled)
	return path, nil
}

// create makes an empty file.
func (f *files) create(path string) error {
	file, err := f.opts.FS.Create(path, diskCategory)
	if err != nil {
		return err
	}
	return file.Close()
}

// initialize writes the header and the first zeros.
func (f *files) initialize(s *segment) error {
	if s.filled == 0 {
		zeros := make([]byte, min(s.capacity, fillBytes))
		n, err := s.file.Write(zeros)
		if err != nil {
			return err
		}
		s.filled = int64(n)
	}
	if err := s.fill(segmentHeaderBytes); err != nil {
		return err
	}
	s.head.bytes = uint32(s.filled)
	var b [segmentHeaderBytes]byte
	s.head.encode(&b)
	if _, err := s.file.WriteAt(b[:], 0); err != nil {
		return err
	}
	return f.timedSync(s.file)
}

// write puts a batch of records behind the last one. buf has room for the
// header in front and is padded.
func (f *files) write(buf []byte, records uint32, bodyBytes int) error {
	size := int64(len(buf))
	// There is always room for a marker at the end.
	if head := f.head(); head.end+size+batchHeaderBytes > head.capacity {
		if err := f.rotate(size); err != nil {
			return err
		}
	}
	head := f.head()
	sealRecords(buf[batchHeaderBytes:batchHeaderBytes+bodyBytes], head.seed)
	h := batchHeader{
		bodyBytes: uint32(bodyBytes),
		records:   records,
		seq:       f.nextSeq,
		synced:    uint32(f.synced),
		bodySum:   crc32.Checksum(buf[batchHeaderBytes:batchHeaderBytes+bodyBytes], castagnoli),
	}
	if err := head.writeBatch(buf, h); err != nil {
		return err
	}
	head.end += size
	f.nextSeq++
	return nil
}

// sync makes the head durable.
func (f *files) sync() error {
	head := f.head()
	if f.synced == head.end {
		return nil
	}
	if err := f.timedSync(head.file); err != nil {
		return fmt.Errorf("sync raft log %s: %w", head.path, err)
	}
	f.synced = head.end
	return nil
}

// mark notes what is synced: it tells a recovery that everything before had been. It
// need not be called after each sync, since the next batch says the same.
func (f *files) mark() error {
	head := f.head()
	return f.note.Set(watermark.Mark{File: head.head.id, End: f.synced, Sum: head.seed})
}

// seal syncs everything, and says at the head's end that this is the end.
func (f *files) seal() error {
	if err := f.sync(); err != nil {
		return err
	}
	head := f.head()
	end := batchHeader{seq: f.nextSeq, synced: uint32(f.synced)}
	if err := head.writeMarker(end); err != nil {
		return err
	}
	if err := f.timedSync(head.file); err != nil {
		return fmt.Errorf("sync raft log %s: %w", head.path, err)
	}
	return f.mark()
}

func (f *files) timedSync(file vfs.File) error {
	start := time.Now()
	err := file.SyncData()
	f.stats.countSync(time.Since(start))
	return err
}

func (f *files) close() (err error) {
	for _, list := range [][]*segment{f.segments, f.retired} {
		for _, s := range list {
			err = errors.Join(err, s.close())
		}
	}
	f.segments, f.retired = nil, nil
	if f.note != nil {
		err = errors.Join(err, f.note.Close())
		f.note = nil
	}
	return err
}

// mix makes the salt of a segment from that of the log.
func mix(salt, id uint64) uint64 {
	x := salt + id*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
