package node

import (
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
)

// takeLease reads what the shard's metadata has on a lease.
func (s *checkedShard) takeLease(suffix, value []byte) error {
	id, err := keyspace.ParseLeaseMetaSuffix(suffix)
	if err != nil {
		return err
	}
	if s.id == kv.SystemShard {
		_, err = keyspace.ParseLeaseRecord(value)
		return err
	}
	if s.marks == nil {
		s.marks = map[kv.LeaseID]bool{}
	}
	s.marks[id] = true
	_, err = keyspace.ParseLeaseMark(value)
	return err
}

// checkLeases makes sure that keys hang only on leases that the shard was told
// of: nobody would look for others here.
func (c *checker) checkLeases(s *checkedShard) error {
	last := kv.LeaseID(0)
	return c.eachIn(keyspace.LeaseIndexSpans(s.id), func(key, _ []byte) error {
		_, id, user, err := keyspace.ParseLeaseIndexKey(key)
		if err != nil || id == last || s.marks[id] {
			return nil // mvcc.Check has said what is wrong with the index itself
		}
		last = id
		return c.report(s.where(), "%q hangs on lease %d, which the shard was not told of",
			user, id)
	})
}
