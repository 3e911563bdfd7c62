package mvcc

import (
	"errors"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
)

// checkIndexed checks that the newest version of a key is in the lease index,
// if it hangs on a lease.
func (a *auditor) checkIndexed(v *version) error {
	if v.Lease == 0 {
		return nil
	}
	_, err := a.reader.Get(keyspace.LeaseIndexKey(nil, a.shard, v.Lease, v.key))
	if errors.Is(err, engine.ErrNotFound) {
		return a.report(v.key, v.mod, "it hangs on lease %d, but the index lacks it", v.Lease)
	}
	return err
}

// checkIndex checks the entries of the lease index.
func (a *auditor) checkIndex() error {
	span := keyspace.LeaseIndexSpans(a.shard)
	it, err := a.reader.NewIter(span.Start, span.End)
	if err != nil {
		return err
	}
	defer func() { _ = it.Close() }()
	s := getScratch()
	defer s.release()
	for on := it.First(); on; on = it.Next() {
		if err := a.checkIndexEntry(it.Key(), s); err != nil {
			return err
		}
	}
	return it.Error()
}

func (a *auditor) checkIndexEntry(entry []byte, s *scratch) error {
	_, lease, key, err := keyspace.ParseLeaseIndexKey(entry)
	if err != nil {
		return a.report(nil, 0, "%v", err)
	}
	if !a.keys.Contains(key) {
		return a.report(key, 0, "in the lease index of shard %v, which holds %v", a.shard, a.keys)
	}
	l := layers{reader: a.reader, at: newest, scratch: s}
	v, live, err := l.seek(key)
	switch {
	case err != nil:
		return nil // the versions were checked before
	case !live || v.Tombstone:
		return a.report(key, v.mod, "on lease %d by the index, but there is no such key", lease)
	case v.Lease != lease:
		return a.report(key, v.mod, "on lease %d by the index, on %d by its version",
			lease, v.Lease)
	}
	return nil
}
