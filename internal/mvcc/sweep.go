package mvcc

import (
	"bytes"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
)

// Place is a place in a shard's history.
type Place struct {
	Revision kv.Revision
	Sub      uint32
}

// SweepPart is a part of a sweep: at most EntriesMax entries of the history
// from From on, up to and including Floor.
type SweepPart struct {
	From       Place
	Floor      kv.Revision
	EntriesMax int
}

// Swept is what a part of a sweep came to.
type Swept struct {
	// Next is where the next part begins; Done says that there is none below
	// the floor.
	Next Place
	Done bool
	// Entries were walked; Versions were deleted, with so many Bytes of keys
	// and values, those of history entries included.
	Entries, Versions int
	Bytes             int64
}

// Sweep deletes what no read and no watch at Floor or above can see, as far as
// the entries of the part lead to it:
//
//	versions      all of a key but the newest at or below Floor, and that one
//	              too if it is a tombstone below Floor
//	history       entries below Floor
//
// A sweep begins at the start of the history, or where the one before began to
// keep entries, that is at its floor. Its parts have one floor and follow one
// another. It may be given up and begin anew, with a higher floor too: what it
// did not come to still has its entry, and a version that has none is older
// than one that has. So the cost is that of the entries, two seeks each, whatever
// else is stored.
//
// Nothing may be written at or below Floor from the first part on. b gets the
// deletions, and has to be committed before the next part. It returns
// kv.ErrCorrupt for stored bytes that make no sense.
func Sweep(r engine.Reader, b engine.Batch, shard kv.ShardID, part SweepPart) (Swept, error) {
	all := keyspace.VersionSpan(kv.Range{})
	versions, err := r.NewIter(all.Start, all.End)
	if err != nil {
		return Swept{}, err
	}
	defer func() { _ = versions.Close() }()
	s := sweeper{batch: b, versions: versions, shard: shard, part: part}
	s.done.Next = part.From
	if err := s.walk(r); err != nil {
		return Swept{}, err
	}
	return s.done, s.forget()
}

// sweeper carries out a part of a sweep.
type sweeper struct {
	batch    engine.Batch
	versions engine.Iterator
	shard    kv.ShardID
	part     SweepPart
	done     Swept
	// gone are the entries below the floor that were walked.
	gone []Place
	// first is the revision of the first entry walked, and began are the keys
	// that have one there.
	first kv.Revision
	began map[string]bool
	// key is a buffer.
	key []byte
}

func (s *sweeper) walk(r engine.Reader) error {
	for e, err := range historyFrom(r, s.shard, s.part.From, s.part.Floor+1) {
		if err != nil {
			return err
		}
		if s.done.Entries == s.part.EntriesMax {
			return nil
		}
		if err := s.sweep(e); err != nil {
			return err
		}
		s.done.Entries++
		s.done.Next = Place{e.rev, e.sub + 1}
	}
	s.done.Done, s.done.Next = true, Place{Revision: s.part.Floor}
	return nil
}

// sweep deletes what an entry leads to. Of two entries of a key the newer one
// makes the older one's version superfluous; the newest below the floor leads to the
// one that the sweep before left, which has no entry.
func (s *sweeper) sweep(e historyEntry) error {
	s.begin(e)
	if e.rev < s.part.Floor {
		s.mark(e)
	}
	newest, found, err := s.seek(e.key, s.part.Floor)
	switch {
	case err != nil || !found:
		return err
	case newest != e.rev:
		return s.dropSuperseded(e)
	}
	v, err := keyspace.ParseVersion(s.versions.Value())
	if err != nil {
		return err
	}
	if v.Tombstone && e.rev < s.part.Floor {
		if err := s.drop(); err != nil {
			return err
		}
	}
	return s.dropOlder(e.key)
}

func (s *sweeper) begin(e historyEntry) {
	if s.done.Entries == 0 {
		s.first, s.began = e.rev, map[string]bool{}
	}
	if e.rev == s.first {
		s.began[string(e.key)] = true
	}
}

// mark remembers an entry that goes.
func (s *sweeper) mark(e historyEntry) {
	s.gone = append(s.gone, Place{e.rev, e.sub})
	s.done.Bytes += int64(historyKeyBytes + len(e.key))
}

// historyKeyBytes is the length of an entry's key.
var historyKeyBytes = len(keyspace.HistoryKey(nil, 0, 0, 0))

// seek goes to the newest version of key at or below rev, and reports its
// revision.
func (s *sweeper) seek(key []byte, rev kv.Revision) (at kv.Revision, found bool, err error) {
	s.key = keyspace.VersionKey(s.key[:0], key, rev)
	if !s.versions.SeekGE(s.key) {
		return 0, false, s.versions.Error()
	}
	return s.here()
}

// here is the revision that the iterator is at, if it still is at the key
// that was sought.
func (s *sweeper) here() (at kv.Revision, found bool, err error) {
	prefix, at, err := keyspace.SplitVersionKey(s.versions.Key())
	if err != nil {
		return 0, false, err
	}
	return at, len(s.versions.Key()) == len(s.key) && bytes.HasPrefix(s.key, prefix), nil
}

// dropSuperseded deletes the version of an entry.
func (s *sweeper) dropSuperseded(e historyEntry) error {
	at, found, err := s.seek(e.key, e.rev)
	if err != nil || !found || at != e.rev {
		return err
	}
	return s.drop()
}

// dropOlder deletes the versions of key below the one that the iterator is at.
// Those with an entry in this part are deleted already.
func (s *sweeper) dropOlder(key []byte) error {
	for s.versions.Next() {
		at, same, err := s.here()
		switch {
		case err != nil || !same:
			return err
		case at > s.first || at == s.first && s.began[string(key)]:
			continue
		}
		if err := s.drop(); err != nil {
			return err
		}
	}
	return s.versions.Error()
}

// drop deletes the version that the iterator is at.
func (s *sweeper) drop() error {
	s.done.Versions++
	s.done.Bytes += int64(len(s.versions.Key()) + len(s.versions.Value()))
	return s.batch.Delete(s.versions.Key())
}

// rangeMin is how many entries are deleted as a range. A range costs more than
// an entry, until it is compacted away together with what it covers.
const rangeMin = 32

// forget deletes the entries below the floor that were walked.
func (s *sweeper) forget() error {
	n := len(s.gone)
	if n >= rangeMin {
		end := s.gone[n-1]
		end.Sub++
		return s.batch.DeleteRange(s.entryKey(s.gone[0]), s.entryKey(end))
	}
	for _, at := range s.gone {
		if err := s.batch.Delete(s.entryKey(at)); err != nil {
			return err
		}
	}
	return nil
}

func (s *sweeper) entryKey(at Place) []byte {
	return keyspace.HistoryKey(nil, s.shard, at.Revision, at.Sub)
}
