package mvcc

import (
	"bytes"
	"cmp"
	"slices"

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
	From  Place
	Floor kv.Revision
	// Since is the floor of the last sweep, if that was brought to its end, or
	// else 0. It saves looking for more than the one version that a sweep leaves:
	// behind that lie all that were deleted before, which engines may keep.
	Since      kv.Revision
	EntriesMax int
}

// Swept is what a part of a sweep came to.
type Swept struct {
	// Next is where the next part begins; Done says that there is none below
	// the floor.
	Next Place
	Done bool
	// Entries were walked; Versions were deleted. VersionBytes are those of
	// their keys and values, of which a value is taken to be as long as the
	// newest of its key, or as the one before its deletion. HistoryBytes are
	// those of the entries deleted.
	Entries, Versions          int
	VersionBytes, HistoryBytes int64
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
// than one that has. So the cost is that of the entries, a seek for each key
// among them, whatever else is stored.
//
// Nothing may be written at or below Floor from the first part on. b gets the
// deletions, and has to be committed before the next part. It returns
// kv.ErrCorrupt for stored bytes that make no sense.
func Sweep(r engine.Reader, b engine.Batch, shard kv.ShardID, part SweepPart) (Swept, error) {
	s := sweeper{batch: b, shard: shard, part: part}
	if err := s.walk(r); err != nil {
		return Swept{}, err
	}
	all := keyspace.VersionSpan(kv.Range{})
	var err error
	if s.versions, err = r.NewIter(all.Start, all.End); err != nil {
		return Swept{}, err
	}
	defer func() { _ = s.versions.Close() }()
	if err := s.sweepKeys(); err != nil {
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
	// entries are those of the part.
	entries []historyEntry
	done    Swept
	// key is a buffer.
	key []byte
}

// walk gathers the entries of the part.
func (s *sweeper) walk(r engine.Reader) error {
	var keys arena
	for e, err := range historyFrom(r, s.shard, s.part.From, s.part.Floor+1) {
		switch {
		case err != nil:
			return err
		case len(s.entries) == s.part.EntriesMax:
			last := s.entries[len(s.entries)-1]
			s.done.Next = Place{last.rev, last.sub + 1}
			return nil
		}
		keys.reserve(len(e.key))
		e.key = keys.clone(e.key)
		s.entries = append(s.entries, e)
	}
	s.done.Done, s.done.Next = true, Place{Revision: s.part.Floor}
	return nil
}

// sweepKeys takes the keys of the part in their order, which engines like.
func (s *sweeper) sweepKeys() error {
	byKey := slices.Clone(s.entries)
	slices.SortStableFunc(byKey, func(a, b historyEntry) int {
		return cmp.Or(bytes.Compare(a.key, b.key), cmp.Compare(a.rev, b.rev))
	})
	for len(byKey) > 0 {
		n := 1
		for n < len(byKey) && bytes.Equal(byKey[n].key, byKey[0].key) {
			n++
		}
		if err := s.sweepKey(byKey[:n]); err != nil {
			return err
		}
		byKey = byKey[n:]
	}
	return nil
}

// sweepKey deletes what the entries of one key lead to. Of two entries the newer
// one makes the older one's version superfluous; the newest below the floor leads
// to the version that the sweep before left, which has no entry.
func (s *sweeper) sweepKey(entries []historyEntry) error {
	newest, found, err := s.seek(entries[0].key)
	if err != nil || !found {
		return err
	}
	size, err := s.typicalSize(entries[0], newest)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.rev == newest {
			return s.sweepBelow(entries, size)
		}
		s.key = keyspace.VersionKey(s.key[:0], e.key, e.rev)
		if err := s.drop(size); err != nil {
			return err
		}
	}
	return nil
}

// typicalSize is about what a version takes that e leads to: as much as the newest,
// which the iterator is at, and if that is a tombstone, as the one before.
func (s *sweeper) typicalSize(e historyEntry, newest kv.Revision) (int, error) {
	size := len(s.versions.Key()) + len(s.versions.Value())
	v, err := keyspace.ParseVersion(s.versions.Value())
	if err != nil || !v.Tombstone || e.rev >= newest {
		return size, err
	}
	if s.versions.Next() {
		_, same, err := s.here(e.key)
		if err != nil {
			return 0, err
		}
		if same {
			size = len(s.versions.Key()) + len(s.versions.Value())
		}
	}
	if !s.versions.Prev() {
		return 0, s.versions.Error()
	}
	return size, nil
}

// seek goes to the newest version of key at or below the floor, and reports its
// revision.
func (s *sweeper) seek(key []byte) (at kv.Revision, found bool, err error) {
	s.key = keyspace.VersionKey(s.key[:0], key, s.part.Floor)
	if !s.versions.SeekGE(s.key) {
		return 0, false, s.versions.Error()
	}
	return s.here(key)
}

// here is the revision that the iterator is at, if it is at the key.
func (s *sweeper) here(key []byte) (at kv.Revision, same bool, err error) {
	prefix, at, err := keyspace.SplitVersionKey(s.versions.Key())
	if err != nil {
		return 0, false, err
	}
	s.key = keyspace.VersionPrefix(s.key[:0], key)
	return at, bytes.Equal(prefix, s.key), nil
}

// sweepBelow deletes the versions below the one that the iterator is at, the
// last of entries, and that one too if it is a tombstone that nobody can see.
// The others that have an entry here are deleted already.
func (s *sweeper) sweepBelow(entries []historyEntry, size int) error {
	last := entries[len(entries)-1]
	v, err := keyspace.ParseVersion(s.versions.Value())
	if err != nil {
		return err
	}
	if v.Tombstone && last.rev < s.part.Floor {
		s.key = append(s.key[:0], s.versions.Key()...)
		if err := s.drop(size); err != nil {
			return err
		}
	}
	if s.part.Since > 0 {
		return s.sweepLeft(entries)
	}
	for s.versions.Next() {
		at, same, err := s.here(last.key)
		if err != nil || !same {
			return err
		}
		if hasEntry(entries, at) {
			continue
		}
		s.key = append(s.key[:0], s.versions.Key()...)
		if err := s.drop(len(s.key) + len(s.versions.Value())); err != nil {
			return err
		}
	}
	return s.versions.Error()
}

// sweepLeft deletes the one version of a key that the last sweep has left.
func (s *sweeper) sweepLeft(entries []historyEntry) error {
	s.key = keyspace.VersionKey(s.key[:0], entries[0].key, min(s.part.Since, entries[0].rev))
	if !s.versions.SeekGE(s.key) {
		return s.versions.Error()
	}
	at, same, err := s.here(entries[0].key)
	if err != nil || !same || hasEntry(entries, at) {
		return err
	}
	s.key = append(s.key[:0], s.versions.Key()...)
	return s.drop(len(s.key) + len(s.versions.Value()))
}

// hasEntry reports whether entries, which are ascending, have one at rev.
func hasEntry(entries []historyEntry, rev kv.Revision) bool {
	_, found := slices.BinarySearchFunc(entries, rev, func(e historyEntry, rev kv.Revision) int {
		return cmp.Compare(e.rev, rev)
	})
	return found
}

// drop deletes the version at s.key.
func (s *sweeper) drop(size int) error {
	s.done.Versions++
	s.done.VersionBytes += int64(size)
	return s.batch.Delete(s.key)
}

// rangeMin is how many entries are deleted as a range. A range costs more than
// an entry, until it is compacted away together with what it covers.
const rangeMin = 32

// forget deletes the entries below the floor.
func (s *sweeper) forget() error {
	s.done.Entries = len(s.entries)
	n, _ := slices.BinarySearchFunc(s.entries, s.part.Floor,
		func(e historyEntry, floor kv.Revision) int { return cmp.Compare(e.rev, floor) })
	gone := s.entries[:n]
	for i := range gone {
		key := s.entryKey(&gone[i])
		s.done.HistoryBytes += int64(len(key) + len(gone[i].key))
		if n >= rangeMin {
			continue
		}
		if err := s.batch.Delete(key); err != nil {
			return err
		}
	}
	if n < rangeMin {
		return nil
	}
	end := gone[n-1]
	end.sub++
	return s.batch.DeleteRange(s.entryKey(&gone[0]), s.entryKey(&end))
}

func (s *sweeper) entryKey(e *historyEntry) []byte {
	return keyspace.HistoryKey(nil, s.shard, e.rev, e.sub)
}
