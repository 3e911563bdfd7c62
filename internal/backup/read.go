package backup

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"github.com/miruvor/miruvor/internal/kv"
)

// Sink is given a backup, in the order of the file. Functions that are nil are
// left out. What they are given dies with the call; an error ends the reading.
type Sink struct {
	Begin func(Header) error
	// Key gets the keys, ascending.
	Key func(*kv.KeyValue) error
	// Lease gets the leases, by id, after all keys. TTL is what was left.
	Lease func(*kv.Lease) error
	// Progress is told after each block how many bytes were read.
	Progress func(bytes int64)
}

// Read reads a whole backup from src, which is called name in errors, and
// verifies all of it. What the sink was given is to be believed only when Read
// returned without an error. Memory is bounded by a block and the ids of the
// leases.
//
// It returns kv.ErrCorrupt with name and offset for what is no backup, or
// damaged; kv.ErrInvalid for a format of a newer version; what src and the sink
// return.
func Read(name string, src io.Reader, to Sink) (Summary, error) {
	r := &reader{
		name: name, src: src, sink: to, sum: sha256.New(), hung: map[kv.LeaseID]bool{},
	}
	if err := r.run(); err != nil {
		return Summary{}, err
	}
	return r.summary, nil
}

// reader is the reading of a backup.
type reader struct {
	name string
	src  io.Reader
	sink Sink
	sum  hash.Hash
	// at is the offset of what is read next.
	at      int64
	summary Summary
	// block is the body of the block at hand, kind that of the last block.
	block []byte
	kind  kind
	// last is the key at hand, lastKey and lastLease are those before.
	last      kv.KeyValue
	lastKey   []byte
	lastLease kv.LeaseID
	// hung are the leases that keys hang on and that have not come yet.
	hung map[kv.LeaseID]bool
}

func (r *reader) corrupt(at int64, format string, args ...any) error {
	return fmt.Errorf("%w: %s: offset %d: %s", kv.ErrCorrupt, r.name, at,
		fmt.Sprintf(format, args...))
}

// fill reads as many bytes as buf has, and counts them in the checksum.
func (r *reader) fill(buf []byte, what string) error {
	n, err := io.ReadFull(r.src, buf)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return r.corrupt(r.at+int64(n), "the file ends inside %s", what)
	}
	if err != nil {
		return fmt.Errorf("%s: offset %d: %w", r.name, r.at+int64(n), err)
	}
	r.sum.Write(buf) // never fails
	r.at += int64(n)
	return nil
}

func (r *reader) run() error {
	if err := r.header(); err != nil {
		return err
	}
	for r.kind != kindEnd {
		if err := r.next(); err != nil {
			return err
		}
		if r.sink.Progress != nil {
			r.sink.Progress(r.at)
		}
	}
	return r.seal()
}

func (r *reader) header() error {
	var buf [headerBytes]byte
	if err := r.fill(buf[:], "the header"); err != nil {
		return err
	}
	h, format, problem := decodeHeader(buf[:])
	if format > version {
		return kv.Invalid("%s has format %d, this version understands up to %d; "+
			"it was written by a newer version", r.name, format, version)
	}
	if problem != "" {
		return r.corrupt(0, "%s", problem)
	}
	r.summary.Header = h
	if r.sink.Begin == nil {
		return nil
	}
	return r.sink.Begin(h)
}

// next reads a block.
func (r *reader) next() error {
	start := r.at
	var head [blockHeaderBytes]byte
	if err := r.fill(head[:], "a block's header"); err != nil {
		return err
	}
	h, problem := decodeBlockHeader(head[:])
	switch {
	case problem != "":
		return r.corrupt(start, "%s", problem)
	case h.kind < r.kind:
		return r.corrupt(start, "a block stands where it does not belong")
	}
	if err := r.body(int(h.size)); err != nil {
		return err
	}
	crc := crc32.Checksum(head[:blockHeaderBytes-4], castagnoli)
	if crc32.Update(crc, castagnoli, r.block) != h.crc {
		return r.corrupt(start, "the block's checksum does not match")
	}
	r.kind = h.kind
	return r.records(start+blockHeaderBytes, int(h.records))
}

// body reads the body of a block. What is not there takes no memory.
func (r *reader) body(size int) error {
	const step = 1 << 20
	r.block = r.block[:0]
	for len(r.block) < size {
		n := min(step, size-len(r.block))
		r.block = append(r.block, make([]byte, n)...)
		if err := r.fill(r.block[len(r.block)-n:], "a block"); err != nil {
			return err
		}
	}
	return nil
}

// records hands on what is in the block, whose body begins at start.
func (r *reader) records(start int64, count int) error {
	d := &decoder{buf: r.block}
	for range count {
		at := start + int64(len(r.block)-len(d.buf))
		var err error
		if r.kind == kindKeys {
			err = r.key(d)
		} else {
			err = r.lease(d)
		}
		if d.problem != "" {
			return r.corrupt(at, "%s", d.problem)
		}
		if err != nil {
			return err
		}
	}
	if r.kind == kindEnd {
		return r.end(d, start)
	}
	if n := len(d.buf); n > 0 {
		return r.corrupt(r.at-int64(n), "the block goes on after its records")
	}
	return nil
}

func (r *reader) key(d *decoder) error {
	r.last = decodeKey(d)
	k := &r.last
	if k.ModRevision > r.summary.Revision {
		d.fail("mod revision is above that of the backup")
	}
	if bytes.Compare(k.Key, r.lastKey) <= 0 {
		d.fail("key is not above the one before")
	}
	if d.problem != "" {
		return nil
	}
	r.lastKey = append(r.lastKey[:0], k.Key...)
	r.summary.Keys++
	if k.Lease != 0 {
		r.hung[k.Lease] = true
	}
	if r.sink.Key == nil {
		return nil
	}
	return r.sink.Key(k)
}

func (r *reader) lease(d *decoder) error {
	l := decodeLease(d)
	if l.ID <= r.lastLease {
		d.fail("lease is not above the one before")
	}
	if d.problem != "" {
		return nil
	}
	r.lastLease = l.ID
	r.summary.Leases++
	delete(r.hung, l.ID)
	if r.sink.Lease == nil {
		return nil
	}
	return r.sink.Lease(&l)
}

// end checks what the last block says, whose body begins at start.
func (r *reader) end(d *decoder, start int64) error {
	keys, leases := decodeEnd(d)
	switch {
	case d.problem != "":
		return r.corrupt(start, "%s", d.problem)
	case keys != r.summary.Keys || leases != r.summary.Leases:
		return r.corrupt(start, "there are %d keys and %d leases, there should be %d and %d",
			r.summary.Keys, r.summary.Leases, keys, leases)
	case r.at%sectorBytes != 0:
		return r.corrupt(start, "the padding does not end at a multiple of %d", sectorBytes)
	}
	for id := range r.hung {
		return r.corrupt(start, "keys hang on the lease %d, which is missing", id)
	}
	return nil
}

// seal checks the checksum at the end of the file, and that it is the end.
func (r *reader) seal() error {
	r.sum.Sum(r.summary.Checksum[:0])
	var found [sealBytes]byte
	at := r.at
	if err := r.fill(found[:], "its checksum"); err != nil {
		return err
	}
	if found != r.summary.Checksum {
		return r.corrupt(at, "the file's SHA-256 does not match")
	}
	switch _, err := io.ReadFull(r.src, make([]byte, 1)); {
	case err == nil:
		return r.corrupt(r.at, "the file goes on after its end")
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("%s: offset %d: %w", r.name, r.at, err)
	}
	r.summary.Bytes = r.at
	return nil
}
