package mvcc

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
)

// version is a version of a key, from whichever layer.
type version struct {
	key []byte
	mod kv.Revision
	keyspace.Version
}

// keyValue is v for an answer. It copies what it refers to.
func (v *version) keyValue() kv.KeyValue {
	return kv.KeyValue{
		Key: bytes.Clone(v.key), Value: bytes.Clone(v.Value),
		CreateRevision: v.Create, ModRevision: v.mod,
		Version: v.Count, Lease: v.Lease,
	}
}

// inFlight is the version that a write makes.
func inFlight(w *Write, mod kv.Revision) version {
	return version{key: w.Key, mod: mod, Version: w.stored()}
}

// layers is what a read looks through, from top to bottom. Only the engine
// has to be there.
type layers struct {
	own     *ownWrites
	overlay *Overlay
	reader  engine.Reader
	recent  *Recent
	// at is the highest revision that is seen.
	at kv.Revision
	// last is nil if looking a key up twice is rare.
	last    *lastPoint
	scratch *scratch
	budget  *budget
}

// lastPoint remembers the last look into the engine: a compare on a key is
// mostly followed by a put of it.
type lastPoint struct {
	v            version
	known, found bool
}

// live is the version of key if it has one and that is no deletion. Its
// slices may be shared: they must not be changed.
func (l *layers) live(key []byte) (v version, live bool, err error) {
	v, found, err := l.lookup(key)
	return v, found && !v.Tombstone, err
}

// lookup is the newest version of key, deletions included.
func (l *layers) lookup(key []byte) (v version, found bool, err error) {
	if l.own != nil {
		if v, found = l.own.lookup(key); found {
			return v, true, nil
		}
	}
	if l.overlay != nil {
		if c := l.overlay.chain(key); c != nil {
			if link := c.visible(l.at); link != nil {
				return inFlight(link.write, link.proposal.rev), true, nil
			}
		}
	}
	return l.stored(key)
}

// stored looks key up in the engine, or in the memory of the last time.
func (l *layers) stored(key []byte) (v version, found bool, err error) {
	if l.last == nil {
		return l.seek(key)
	}
	if l.last.known && bytes.Equal(l.last.v.key, key) {
		return l.last.v, l.last.found, nil
	}
	v, found, err = l.seek(key)
	*l.last = lastPoint{v: v, known: err == nil, found: found}
	return v, found, err
}

func (l *layers) seek(key []byte) (v version, found bool, err error) {
	if v, found, known := l.recent.lookup(key, l.at); known {
		return v, found, nil
	}
	if v, found, err = l.read(key); err == nil && l.recent.wants(l.at) {
		l.recent.keep(v, found)
	}
	return v, found, err
}

// read looks key up in the engine.
func (l *layers) read(key []byte) (v version, found bool, err error) {
	v.key = key
	seek := keyspace.VersionPrefix(l.scratch.key[:0], key)
	prefix := seek
	if l.at != newest {
		seek = keyspace.AppendRevision(seek, l.at)
	}
	l.scratch.key = seek
	storedKey, value, err := l.reader.SeekPrefix(prefix, seek)
	if errors.Is(err, engine.ErrNotFound) {
		return v, false, nil
	}
	if err != nil {
		return v, false, err
	}
	if _, v.mod, err = keyspace.SplitVersionKey(storedKey); err != nil {
		return v, false, err
	}
	if v.Version, err = keyspace.ParseVersion(value); err != nil {
		return v, false, fmt.Errorf("%q at %v: %w", key, v.mod, err)
	}
	return v, true, nil
}
