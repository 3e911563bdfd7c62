package node

import (
	"errors"
	"io/fs"

	"github.com/miruvor/miruvor/internal/engine"
)

// progress counts the bytes that a check has read. It goes over the log once,
// and over the engine twice: over the files, then over what they hold.
type progress struct {
	tell  func(done, total int64)
	sizes map[string]int64
	total int64
	// finished are the bytes of parts that are done, current those of the one
	// under way, told what tell was last told.
	finished, current, told int64
}

// measure prepares to check the log and the engine.
func (c *checker) measure(tell func(done, total int64)) (*progress, error) {
	if tell == nil {
		tell = func(int64, int64) {}
	}
	p := &progress{tell: tell, sizes: map[string]int64{}}
	for _, part := range []string{dirLog, dirEngine} {
		dir := c.join(part)
		size, err := c.size(dir)
		if err != nil {
			return nil, err
		}
		p.sizes[dir] = size
	}
	p.total = p.sizes[c.join(dirLog)] + 2*p.sizes[c.join(dirEngine)]
	return p, nil
}

// size is how many bytes the files of a directory have, 0 if there is none.
func (c *checker) size(dir string) (int64, error) {
	names, err := c.fs.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	sum := int64(0)
	for _, name := range names {
		info, statErr := c.fs.Stat(c.fs.PathJoin(dir, name))
		if statErr != nil {
			return 0, statErr
		}
		sum += info.Size()
	}
	return sum, err
}

// finish ends a pass over a directory.
func (p *progress) finish(dir string) {
	p.finished += p.sizes[dir]
	p.current = 0
	p.say(p.finished)
}

// read counts bytes of the pass under way, which is the last one. It may be
// more than the files have, since they are compressed.
func (p *progress) read(n int) {
	const step = 1 << 20
	p.current += int64(n)
	if at := min(p.finished+p.current, p.total); at >= p.told+step {
		p.say(at)
	}
}

func (p *progress) say(done int64) {
	p.told = done
	p.tell(done, p.total)
}

// reader is r, of which every pair that an iterator passes is counted.
func (p *progress) reader(r engine.Reader) engine.Reader { return countingReader{r, p} }

type countingReader struct {
	engine.Reader
	p *progress
}

func (r countingReader) NewIter(lower, upper []byte) (engine.Iterator, error) {
	it, err := r.Reader.NewIter(lower, upper)
	return countingIterator{it, r.p}, err
}

type countingIterator struct {
	engine.Iterator
	p *progress
}

func (it countingIterator) Next() bool {
	if !it.Iterator.Next() {
		return false
	}
	it.p.read(len(it.Key()) + len(it.Value()))
	return true
}
