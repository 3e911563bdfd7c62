package pebble

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/kv"
)

// prefixOptions serve reads of one prefix, most of which are hits or misses
// that the filters know. Pebble copies them.
var prefixOptions = pebble.IterOptions{UseL6Filters: true}

func get(r pebble.Reader, key []byte) ([]byte, error) {
	if !wellFormed(key) {
		return nil, engine.ErrNotFound
	}
	value, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, engine.ErrNotFound
	}
	if err != nil {
		return nil, wrapKey(err, "get", key)
	}
	out := append(make([]byte, 0, len(value)), value...)
	return out, wrapKey(closer.Close(), "get", key)
}

func seekPrefix(r pebble.Reader, prefix, seek []byte) (key, value []byte, err error) {
	if err := engine.CheckSeekPrefix(prefix, seek); err != nil {
		return nil, nil, err
	}
	options := &prefixOptions
	filtered := isVersionPrefix(prefix) && split(seek) == len(prefix)
	if !filtered {
		options = &pebble.IterOptions{UpperBound: align(kv.PrefixRange(prefix).End)}
	}
	it, err := r.NewIter(options)
	if err != nil {
		return nil, nil, wrapKey(err, "seek", seek)
	}
	found := false
	if filtered {
		found = it.SeekPrefixGE(seek)
	} else {
		found = it.SeekGE(align(seek))
	}
	key, value, err = copyAndClose(it, found)
	return key, value, wrapKey(err, "seek", seek)
}

// copyAndClose copies the pair that it stands at, if found, and closes it.
func copyAndClose(it *pebble.Iterator, found bool) (key, value []byte, err error) {
	if !found {
		if err := it.Close(); err != nil {
			return nil, nil, err
		}
		return nil, nil, engine.ErrNotFound
	}
	k := it.Key()
	v, err := it.ValueAndErr()
	if err != nil {
		return nil, nil, errors.Join(err, it.Close())
	}
	buf := make([]byte, len(k)+len(v))
	copy(buf, k)
	copy(buf[len(k):], v)
	return buf[:len(k):len(k)], buf[len(k):], it.Close()
}

func newIter(r pebble.Reader, lower, upper []byte) (engine.Iterator, error) {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: align(lower), UpperBound: align(upper)})
	if err != nil {
		return nil, wrapKey(err, "iterate from", lower)
	}
	return iterator{it}, nil
}

// iterator is Pebble's, with keys aligned and errors translated.
type iterator struct {
	*pebble.Iterator
}

func (i iterator) SeekGE(key []byte) bool {
	return i.Iterator.SeekGE(align(key))
}

func (i iterator) SeekLT(key []byte) bool {
	return i.Iterator.SeekLT(align(key))
}

func (i iterator) Leave(past []byte) bool {
	if key := i.Key(); split(key) == len(key) {
		return i.SeekGE(past)
	}
	return i.NextPrefix()
}

func (i iterator) Error() error {
	return wrap(i.Iterator.Error(), "iterate")
}

func (i iterator) Close() error {
	return wrap(i.Iterator.Close(), "iterate")
}

// snapshot implements engine.Snapshot.
type snapshot struct {
	snapshot *pebble.Snapshot
}

func (s snapshot) Get(key []byte) ([]byte, error) {
	return get(s.snapshot, key)
}

func (s snapshot) SeekPrefix(prefix, seek []byte) (key, value []byte, err error) {
	return seekPrefix(s.snapshot, prefix, seek)
}

func (s snapshot) NewIter(lower, upper []byte) (engine.Iterator, error) {
	return newIter(s.snapshot, lower, upper)
}

func (s snapshot) Close() error {
	return wrap(s.snapshot.Close(), "close snapshot")
}
