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

// Problem is something that should not be in a shard's data.
type Problem struct {
	// Key is the user key that it is about; nil if that cannot be read.
	Key []byte
	// Revision is that of the version or the history entry, 0 if unknown.
	Revision kv.Revision
	// Text says what is wrong.
	Text string
}

func (p Problem) String() string {
	return fmt.Sprintf("%q at %v: %s", p.Key, p.Revision, p.Text)
}

// Check reads a whole shard, which holds the keys of keys and is compacted up
// to compacted, and yields what is wrong with it: what cannot be decoded,
// versions that do not follow from one another, and differences between the
// versions on one side, the history and the lease index on the other. An error
// means that reading failed, and ends it. At and below compacted, versions and
// history may have holes.
func Check(
	r engine.Reader, shard kv.ShardID, keys kv.Range, compacted kv.Revision,
) iter.Seq2[Problem, error] {
	return func(yield func(Problem, error) bool) {
		a := auditor{
			reader: r, shard: shard, keys: keys, compacted: compacted,
			yield: func(p Problem) bool { return yield(p, nil) },
		}
		if err := a.run(); err != nil && !errors.Is(err, errStopped) {
			yield(Problem{}, err)
		}
	}
}

// auditor checks one shard.
type auditor struct {
	reader    engine.Reader
	shard     kv.ShardID
	keys      kv.Range
	compacted kv.Revision
	yield     func(Problem) bool
	// versions and entries count what lies above compacted, where the two
	// must be as many.
	versions, entries int
}

func (a *auditor) run() error {
	if err := a.checkVersions(); err != nil {
		return err
	}
	if err := a.checkHistory(); err != nil {
		return err
	}
	if err := a.checkIndex(); err != nil {
		return err
	}
	if a.versions == a.entries {
		return nil
	}
	return a.findForgotten()
}

func (a *auditor) report(key []byte, rev kv.Revision, format string, args ...any) error {
	p := Problem{Key: bytes.Clone(key), Revision: rev, Text: fmt.Sprintf(format, args...)}
	if !a.yield(p) {
		return errStopped
	}
	return nil
}

// eachVersion calls visit with every version, keys in order, each key's
// newest first. With damage, v is only as much as could be decoded.
func (a *auditor) eachVersion(visit func(v *version, damage error) error) error {
	span := keyspace.VersionSpan(a.keys)
	it, err := a.reader.NewIter(span.Start, span.End)
	if err != nil {
		return err
	}
	defer func() { _ = it.Close() }()
	for on := it.First(); on; on = it.Next() {
		v, damage := decodeVersion(it.Key(), it.Value())
		if err := visit(&v, damage); err != nil {
			return err
		}
	}
	return it.Error()
}

// decodeVersion decodes as much as it can.
func decodeVersion(key, value []byte) (v version, err error) {
	if v.key, v.mod, err = keyspace.ParseVersionKey(key); err != nil {
		return v, err
	}
	v.Version, err = keyspace.ParseVersion(value)
	return v, err
}

func (a *auditor) checkVersions() error {
	// newer is the version before in the order of the engine.
	var newer *version
	err := a.eachVersion(func(v *version, damage error) error {
		if v.mod > a.compacted {
			a.versions++
		}
		if damage != nil {
			return a.report(v.key, v.mod, "%v", damage)
		}
		if err := a.checkAlone(v); err != nil {
			return err
		}
		var err error
		if newer != nil && bytes.Equal(newer.key, v.key) {
			err = a.checkPair(v, newer)
		} else if err = a.checkOldest(newer); err == nil {
			err = a.checkIndexed(v)
		}
		kept := *v
		kept.key, kept.Value = bytes.Clone(v.key), nil
		newer = &kept
		return err
	})
	if err != nil {
		return err
	}
	return a.checkOldest(newer)
}

// checkAlone checks what is true of any version.
func (a *auditor) checkAlone(v *version) error {
	switch {
	case v.Tombstone:
		return nil
	case v.Create > v.mod:
		return a.report(v.key, v.mod, "created later, at %v", v.Create)
	case (v.Create == v.mod) != (v.Count == 1):
		return a.report(v.key, v.mod, "version %d of a key created at %v", v.Count, v.Create)
	}
	return nil
}

// checkPair checks two neighbours of one key.
func (a *auditor) checkPair(older, newer *version) error {
	switch {
	case newer.mod <= a.compacted:
		return nil // there may have been others between them
	case newer.Tombstone && older.Tombstone:
		return a.report(newer.key, newer.mod, "deleted, but already deleted at %v", older.mod)
	case newer.Tombstone:
		return nil
	case older.Tombstone && newer.Count != 1:
		return a.report(newer.key, newer.mod, "version %d right after the deletion at %v",
			newer.Count, older.mod)
	case older.Tombstone:
		return nil
	case newer.Create != older.Create:
		return a.report(newer.key, newer.mod, "created at %v, but the version at %v was at %v",
			newer.Create, older.mod, older.Create)
	case newer.Count != older.Count+1:
		return a.report(newer.key, newer.mod, "version %d right after version %d",
			newer.Count, older.Count)
	}
	return nil
}

// checkOldest checks the oldest version of a key, nil for none.
func (a *auditor) checkOldest(v *version) error {
	switch {
	case v == nil || v.mod <= a.compacted:
		return nil
	case v.Tombstone:
		return a.report(v.key, v.mod, "deleted, but never put")
	case v.Count != 1:
		return a.report(v.key, v.mod, "version %d without those before it", v.Count)
	}
	return nil
}

func (a *auditor) checkHistory() error {
	var rev kv.Revision
	written := map[string]bool{}
	for entry, err := range historyEntries(a.reader, a.shard, 0, 0) {
		if err != nil {
			return a.unreadable(err)
		}
		if entry.rev != rev {
			rev = entry.rev
			clear(written)
		}
		if err := a.checkEntry(entry, written); err != nil {
			return err
		}
		written[string(entry.key)] = true
	}
	return nil
}

// unreadable reports an error about stored bytes, and returns others.
func (a *auditor) unreadable(err error) error {
	if errors.Is(err, kv.ErrCorrupt) {
		return a.report(nil, 0, "the history ends here: %v", err)
	}
	return err
}

// checkEntry checks an entry of the history. written are the keys of the
// entries before it in its revision.
func (a *auditor) checkEntry(entry historyEntry, written map[string]bool) error {
	if entry.rev > a.compacted {
		a.entries++
	}
	if written[string(entry.key)] {
		return a.report(entry.key, entry.rev, "written twice in one revision")
	}
	if !a.keys.Contains(entry.key) {
		return a.report(entry.key, entry.rev, "in the history of shard %v, which holds %v",
			a.shard, a.keys)
	}
	_, err := a.reader.Get(keyspace.VersionKey(nil, entry.key, entry.rev))
	if errors.Is(err, engine.ErrNotFound) {
		return a.report(entry.key, entry.rev, "in the history, but there is no such version")
	}
	return err
}

// findForgotten reports the versions that the history does not have.
func (a *auditor) findForgotten() error {
	return a.eachVersion(func(v *version, _ error) error {
		if v.mod <= a.compacted {
			return nil
		}
		for entry, err := range historyEntries(a.reader, a.shard, v.mod, v.mod+1) {
			if err != nil {
				return a.unreadable(err)
			}
			if bytes.Equal(entry.key, v.key) {
				return nil
			}
		}
		return a.report(v.key, v.mod, "a version that the history does not have")
	})
}
