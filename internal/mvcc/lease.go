package mvcc

import (
	"bytes"
	"fmt"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
)

// Leases knows on which leases a key can be put.
type Leases interface {
	Active(key []byte, id kv.LeaseID) bool
}

// InactiveLease is the error of a put on a lease that is not active.
type InactiveLease struct {
	Key []byte
	ID  kv.LeaseID
}

func (e *InactiveLease) Error() string {
	return fmt.Sprintf("mvcc: %q is put on lease %d, which is not active", e.Key, e.ID)
}

// hang checks that a key can be put on a lease.
func (e *evaluator) hang(key []byte, id kv.LeaseID) error {
	if id == 0 || e.view.Leases == nil || e.view.Leases.Active(key, id) {
		return nil
	}
	return &InactiveLease{Key: key, ID: id}
}

// index adds to a batch what a write changes in the lease index.
func (s *scratch) index(b engine.Batch, shard kv.ShardID, w *Write) error {
	if w.Lease == w.PrevLease {
		return nil
	}
	if w.PrevLease != 0 {
		s.key = keyspace.LeaseIndexKey(s.key[:0], shard, w.PrevLease, w.Key)
		if err := b.Delete(s.key); err != nil {
			return err
		}
	}
	if w.Lease == 0 {
		return nil
	}
	s.key = keyspace.LeaseIndexKey(s.key[:0], shard, w.Lease, w.Key)
	return b.Set(s.key, nil)
}

// LeaseKeys are the keys of a shard that hang on a lease, ascending. It ends
// early, after at least one key, once they add up to bytesMax; whole tells that
// it did not. The caller owns the keys.
func LeaseKeys(
	r engine.Reader, shard kv.ShardID, lease kv.LeaseID, bytesMax int,
) (keys [][]byte, whole bool, err error) {
	span := keyspace.LeaseIndexSpan(shard, lease)
	it, err := r.NewIter(span.Start, span.End)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = it.Close() }()
	size := 0
	for on := it.First(); on; on = it.Next() {
		if len(keys) > 0 && size >= bytesMax {
			return keys, false, nil
		}
		_, _, key, err := keyspace.ParseLeaseIndexKey(it.Key())
		if err != nil {
			return nil, false, err
		}
		keys = append(keys, bytes.Clone(key))
		size += len(key)
	}
	return keys, true, it.Error()
}
