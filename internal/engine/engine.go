// Package engine is the seam between Miruvor and the storage engine under it:
// an ordered, persistent map from byte strings to byte strings.
//
// It owns the interface and the conformance suite (enginetest) that every
// implementation passes: engine/pebble for real use, engine/memory for the
// simulator. It knows nothing of shards, revisions or Raft; package keyspace
// gives keys their meaning.
//
// Keys are not empty and ordered by bytes.Compare. Two durabilities are told apart, because
// the Raft log is the write-ahead log of everything that lives here:
//
//  1. A committed batch is atomic and at once visible to every later read,
//     but a crash may lose it. What survives a crash is always a prefix of
//     the commits, whole batches only.
//  2. Flush makes everything committed so far survive any crash. DurableGet
//     tells what would survive one now.
package engine

import (
	"bytes"
	"errors"
	"io"

	"github.com/miruvor/miruvor/internal/kv"
)

// ErrNotFound is returned by Get for a key that does not exist.
var ErrNotFound = errors.New("engine: key not found")

// CheckSeekPrefix refuses arguments that break the rule of
// Reader.SeekPrefix; implementations call it.
func CheckSeekPrefix(prefix, seek []byte) error {
	if !bytes.HasPrefix(seek, prefix) {
		return kv.Invalid("seek key %x does not begin with prefix %x", seek, prefix)
	}
	return nil
}

// Reader reads one state of the engine. Engine and Snapshot are Readers.
type Reader interface {
	// Get returns the value of key, or ErrNotFound. The caller owns the
	// returned slice.
	Get(key []byte) ([]byte, error)

	// SeekPrefix returns the first pair whose key is at or after seek and
	// begins with prefix, or ErrNotFound. It is the hot path of a read of
	// one user key: seek is a version key and prefix is it without its
	// revision, for which engines have a filter ready. A seek that does not
	// begin with prefix is refused with kv.ErrInvalid. The caller owns the
	// returned slices.
	SeekPrefix(prefix, seek []byte) (key, value []byte, err error)

	// NewIter returns an iterator over the keys in [lower, upper), frozen at
	// the state of this moment. A nil bound means no bound. The bounds
	// must not be changed while the iterator is open.
	NewIter(lower, upper []byte) (Iterator, error)
}

// Iterator walks keys in byte order. It is used by one goroutine at a time.
// First, Last, SeekGE, SeekLT, Next, Leave and Prev report whether they landed on a
// key; after false, Error tells whether that was the end or a failure. A new
// iterator stands nowhere and is first moved by one of the first four. Past the
// last key Prev leads back to it, and before the first key Next does.
type Iterator interface {
	io.Closer
	First() bool
	Last() bool
	// SeekGE moves to the first key >= key within the bounds.
	SeekGE(key []byte) bool
	// SeekLT moves to the last key < key within the bounds.
	SeekLT(key []byte) bool
	Next() bool
	// Leave is SeekGE(past) from a version key, where past is the lowest key above
	// all versions of the same user key. Its cost does not grow with how many of
	// these there are or were, and is that of Next if there are few.
	Leave(past []byte) bool
	Prev() bool
	// Key and Value are valid until the iterator moves or closes.
	Key() []byte
	Value() []byte
	Error() error
}

// Batch collects writes that are committed atomically. It copies its
// arguments and is used by one goroutine. A batch is used once: Commit or
// Close ends it, and Close after Commit is harmless.
type Batch interface {
	Set(key, value []byte) error
	Delete(key []byte) error
	// DeleteRange deletes the keys in [start, end). Both bounds are needed;
	// an empty range deletes nothing.
	DeleteRange(start, end []byte) error
	// Empty reports whether nothing was written; Size is a rough size in
	// bytes.
	Empty() bool
	Size() int
	// Commit applies the batch. It does not wait for stable storage.
	Commit() error
	Close() error
}

// Span is a range of keys [Start, End); both bounds are needed.
type Span struct {
	Start, End []byte
}

// Ingest replaces everything in some spans with other pairs, in one atomic
// and durable step, however many they are. Pairs are added in strictly
// ascending key order and must lie in the spans; others are refused with
// kv.ErrInvalid. Nothing is visible before Commit; Abort (also after Commit,
// when it does nothing) releases what was gathered. One goroutine uses it.
type Ingest interface {
	Add(key, value []byte) error
	// Commit returns once the replacement survives a crash. It makes
	// everything committed before it durable too.
	Commit() error
	Abort() error
}

// Engine is a storage engine. All methods are safe for concurrent use.
type Engine interface {
	Reader
	// Close makes all commits durable and ends the engine. Iterators,
	// snapshots and ingests are closed before it.
	io.Closer

	NewBatch() Batch

	// NewSnapshot freezes the current state for reading. The caller closes
	// it. While it is open, the engine keeps what it holds.
	NewSnapshot() Snapshot

	// NewIngest begins the replacement of everything in spans. Spans are
	// sorted and do not overlap. The caller sees to it that nobody writes
	// to the spans meanwhile.
	NewIngest(spans []Span) (Ingest, error)

	// Reclaim tells that about so many bytes of keys and values were deleted
	// from span, so that their space is given back in the background, at a cost
	// in proportion to them. It only remembers that, and does not block. Deletions alone
	// do not do: a log-structured engine keeps what they delete until something
	// is written to the same keys.
	Reclaim(span Span, deleted int64)

	// Flush makes all commits so far durable. It blocks.
	Flush() error

	// DurableGet is Get on the state that a crash at this moment would
	// certainly leave.
	DurableGet(key []byte) ([]byte, error)

	// DiskUsage is how many bytes the engine takes on disk, and how many of
	// them are in use: not waiting to be given back. It costs little, and does
	// not block.
	DiskUsage() (bytes, inUse int64)

	// IsBehind reports whether more is written than the engine gets done, so that
	// soon commits would have to wait for it. It costs little, and does not block.
	IsBehind() bool

	// Metrics describes the engine by numbers, name to value. Names are in
	// Prometheus' style with their unit, without a prefix ("disk_bytes").
	Metrics() map[string]float64

	// Check reads everything and verifies checksums and structure.
	Check() error
}

// Snapshot is a frozen Reader.
type Snapshot interface {
	Reader
	io.Closer
}
