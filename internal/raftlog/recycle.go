package raftlog

import "fmt"

// sparesMax bounds the dead segments that are kept for reuse.
const sparesMax = 2

// dead counts the segments at the front that nothing needs.
func (f *files) dead() int {
	for i, s := range f.segments {
		if s.pins > 0 || s == f.head() {
			return i
		}
	}
	return 0
}

// retire takes the segments below floor out of use. It is called when a header
// that says so is on stable storage.
func (f *files) retire(floor uint64) error {
	for f.segments[0].head.id < floor {
		f.retired = append(f.retired, f.segments[0])
		f.segments = f.segments[1:]
	}
	busy := f.retired[:0]
	for _, s := range f.retired {
		if s.refs.Load() > 0 {
			busy = append(busy, s)
			continue
		}
		if err := f.release(s); err != nil {
			return fmt.Errorf("release raft log %s: %w", s.path, err)
		}
	}
	f.retired = busy
	return nil
}

// tidySpares removes the spares that are too many or of an unusual size.
func (f *files) tidySpares() error {
	var keep []string
	for _, path := range f.spares {
		info, err := f.opts.FS.Stat(path)
		if err == nil && len(keep) < sparesMax && f.usual(info.Size()) {
			keep = append(keep, path)
			continue
		}
		if err := f.opts.FS.Remove(path); err != nil {
			return fmt.Errorf("remove %s: %w", path, err)
		}
	}
	f.spares = keep
	return nil
}

// usual reports whether a file of this size is worth keeping for reuse.
func (f *files) usual(bytes int64) bool {
	return bytes <= f.opts.SegmentBytes && bytes >= f.opts.SegmentBytes/2
}

// release closes the file of a dead segment and keeps it for reuse, unless
// there are enough or it has an unusual size.
func (f *files) release(s *segment) error {
	if err := s.close(); err != nil {
		return err
	}
	if len(f.spares) >= sparesMax || !f.usual(s.filled) {
		return f.opts.FS.Remove(s.path)
	}
	spare := f.path(spareName(s.head.id))
	if err := f.opts.FS.Rename(s.path, spare); err != nil {
		return err
	}
	f.spares = append(f.spares, spare)
	return nil
}
