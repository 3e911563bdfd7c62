package mvcc

import (
	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/kv"
)

// Stretch is a stretch of a shard's history: the writes to Keys with revisions
// above After, up to and including UpTo.
type Stretch struct {
	After, UpTo kv.Revision
	Keys        kv.Range
	// EntriesMax is after how many entries of the history, BytesMax after how
	// many bytes of keys and values reading ends. Both are exceeded to the end
	// of a revision, the first in any case.
	EntriesMax, BytesMax int
}

// ReadStretch reads a stretch from its beginning, as far as its bounds allow, and
// tells how far that is: the events up to and including upTo are all there. Only
// the versions of keys that are asked for are read. The receiver owns what it
// gets. It returns kv.ErrCorrupt for stored bytes that make no sense.
func ReadStretch(
	r engine.Reader, shard kv.ShardID, s Stretch,
) (events []Event, upTo kv.Revision, err error) {
	entries, bytes := 0, 0
	last := s.After
	for entry, err := range historyEntries(r, shard, s.After+1, s.UpTo+1) {
		if err != nil {
			return nil, 0, err
		}
		full := entries >= s.EntriesMax || bytes >= s.BytesMax
		if entry.rev > last && entries > 0 && full {
			return events, last, nil
		}
		last = entry.rev
		entries++
		if !s.Keys.Contains(entry.key) {
			continue
		}
		event, err := entry.event(r)
		if err != nil {
			return nil, 0, err
		}
		bytes += len(event.KV.Key) + len(event.KV.Value)
		events = append(events, event)
	}
	return events, s.UpTo, nil
}
