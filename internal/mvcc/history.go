package mvcc

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
)

// Event is one write of the past.
type Event struct {
	Revision kv.Revision
	// Sub is the place of the write in its transaction, from 0.
	Sub uint32
	// KV is the version written. Of a deletion only Key and ModRevision are
	// set.
	KV      kv.KeyValue
	Deleted bool
}

// History yields the writes of a shard with revisions in [from, to), in the
// order in which they happened; with to 0 there is no upper bound. The
// receiver owns what it gets. After an error nothing follows. Below the
// compaction floor it yields what the sweep has left so far, which means nothing; from it
// on, all. Give it a snapshot if the shard may be swept meanwhile: an entry
// whose version is gone is kv.ErrCorrupt.
func History(
	r engine.Reader, shard kv.ShardID, from, to kv.Revision,
) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for entry, err := range historyEntries(r, shard, from, to) {
			if err != nil {
				yield(Event{}, err)
				return
			}
			event, err := entry.event(r)
			if !yield(event, err) || err != nil {
				return
			}
		}
	}
}

// historyEntry is an entry of a shard's history.
type historyEntry struct {
	rev kv.Revision
	sub uint32
	key []byte
}

// historyEntries walks the history alone. Keys die at the next step.
func historyEntries(
	r engine.Reader, shard kv.ShardID, from, to kv.Revision,
) iter.Seq2[historyEntry, error] {
	return historyFrom(r, shard, Place{Revision: from}, to)
}

// historyFrom is historyEntries from a place inside a revision.
func historyFrom(
	r engine.Reader, shard kv.ShardID, from Place, to kv.Revision,
) iter.Seq2[historyEntry, error] {
	return func(yield func(historyEntry, error) bool) {
		span := keyspace.HistorySpan(shard, from.Revision, to)
		if from.Sub > 0 {
			span.Start = keyspace.HistoryKey(nil, shard, from.Revision, from.Sub)
		}
		it, err := r.NewIter(span.Start, span.End)
		if err != nil {
			yield(historyEntry{}, err)
			return
		}
		defer func() { _ = it.Close() }()
		for on := it.First(); on; on = it.Next() {
			_, rev, sub, err := keyspace.ParseHistoryKey(it.Key())
			if !yield(historyEntry{rev: rev, sub: sub, key: it.Value()}, err) || err != nil {
				return
			}
		}
		if err := it.Error(); err != nil {
			yield(historyEntry{}, err)
		}
	}
}

// event reads the version that the entry speaks of.
func (h historyEntry) event(r engine.Reader) (Event, error) {
	s := getScratch()
	defer s.release()
	s.key = keyspace.VersionKey(s.key[:0], h.key, h.rev)
	value, err := r.Get(s.key)
	if errors.Is(err, engine.ErrNotFound) {
		return Event{}, fmt.Errorf("%w: the history has %q at %v, the versions do not",
			kv.ErrCorrupt, h.key, h.rev)
	}
	if err != nil {
		return Event{}, err
	}
	v, err := keyspace.ParseVersion(value)
	if err != nil {
		return Event{}, fmt.Errorf("%q at %v: %w", h.key, h.rev, err)
	}
	written := kv.KeyValue{
		Key: bytes.Clone(h.key), Value: v.Value,
		CreateRevision: v.Create, ModRevision: h.rev, Version: v.Count, Lease: v.Lease,
	}
	return Event{Revision: h.rev, Sub: h.sub, KV: written, Deleted: v.Tombstone}, nil
}
