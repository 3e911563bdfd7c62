package mvcc

import (
	"fmt"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
)

// Apply adds a transaction's writes to a batch: the version of each key, its
// entry in the shard's history, and the change of what hangs on leases. Writes
// with impossible revisions are refused with kv.ErrCorrupt, and the batch must
// then not be committed. recent, which may be nil, takes note of them.
func Apply(
	b engine.Batch, recent *Recent, shard kv.ShardID, rev kv.Revision, writes []Write,
) error {
	return ApplyPart(b, recent, shard, rev, Part{Writes: writes})
}

// ApplyPart is Apply for a transaction that writes in several shards.
func ApplyPart(
	b engine.Batch, recent *Recent, shard kv.ShardID, rev kv.Revision, part Part,
) error {
	if err := part.Check(rev); err != nil {
		return fmt.Errorf("shard %v: %w", shard, err)
	}
	s := getScratch()
	defer s.release()
	for i := range part.Writes {
		w := &part.Writes[i]
		s.key = keyspace.VersionKey(s.key[:0], w.Key, rev)
		s.value = keyspace.AppendVersion(s.value[:0], w.stored())
		if err := b.Set(s.key, s.value); err != nil {
			return err
		}
		s.key = keyspace.HistoryKey(s.key[:0], shard, rev, part.sub(i))
		if err := b.Set(s.key, w.Key); err != nil {
			return err
		}
		if err := s.index(b, shard, w); err != nil {
			return err
		}
	}
	recent.applied(rev, part.Writes)
	return nil
}
