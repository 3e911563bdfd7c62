package node

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/miruvor/miruvor/internal/backup"
	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/replica"
)

// restorer puts a backup into an engine.
type restorer struct {
	cfg    Config
	from   Backup
	result Restoration
	self   kv.NodeID
	shards placement.Map
	// holds are the shards that are placed on this node.
	holds  map[kv.ShardID]bool
	leases map[kv.LeaseID]*restoredLease
	engine engine.Engine
	batch  engine.Batch
	// key and value are buffers.
	key, value []byte
}

// restoredLease is a lease of the backup.
type restoredLease struct {
	granted int64
	// shards are those in which keys hang on it, ascending.
	shards []kv.ShardID
}

// restoredLife is the life of all leases of a backup: nothing was granted in the
// first term, which no leader has.
const restoredLife = 1 << 32

// restoreBatchBytes is about how much is committed at a time.
const restoreBatchBytes = 1 << 20

// survey reads the file for the first time: it verifies all of it and finds out
// what belongs where.
func survey(c Config, from Backup) (*restorer, error) {
	shards, err := c.Cluster.layout().Build()
	if err != nil {
		return nil, err
	}
	r := &restorer{
		cfg: c, from: from, shards: shards, holds: map[kv.ShardID]bool{},
		leases: map[kv.LeaseID]*restoredLease{},
	}
	for _, n := range c.Cluster.nodes() {
		if n.Name == c.Name {
			r.self = n.ID
		}
	}
	for _, s := range placedOn(shards, r.self) {
		r.holds[s.ID] = true
	}
	sum, err := r.read(0, backup.Sink{Key: r.hang, Lease: r.grant})
	if err != nil {
		return nil, err
	}
	return r, r.conclude(sum)
}

// conclude finds out what the new cluster is.
func (r *restorer) conclude(sum backup.Summary) error {
	first := sum.Revision + r.from.Bump
	if first > firstRevisionMax {
		return kv.Invalid("bump-revision: %d above %v leaves too few revisions, "+
			"the cluster may begin at %v at most", int64(r.from.Bump), sum.Revision,
			firstRevisionMax)
	}
	cluster := r.cfg.Cluster
	cluster.Token = cluster.restoredToken(sum.Checksum, first)
	r.result = Restoration{
		Summary: sum, First: first, Cluster: cluster.id(), Token: cluster.Token,
	}
	return nil
}

// read goes over the file; half says for which time.
func (r *restorer) read(half int64, to backup.Sink) (backup.Summary, error) {
	size, err := r.from.File.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = r.from.File.Seek(0, io.SeekStart)
	}
	if err != nil {
		return backup.Summary{}, fmt.Errorf("%s: %w", r.from.Name, err)
	}
	if r.from.Progress != nil {
		to.Progress = func(done int64) { r.from.Progress(half*size+done, 2*size) }
	}
	return backup.Read(r.from.Name, r.from.File, to)
}

// hang notes in which shards keys hang on leases.
func (r *restorer) hang(k *kv.KeyValue) error {
	if k.Lease == 0 {
		return nil
	}
	l := r.leases[k.Lease]
	if l == nil {
		l = &restoredLease{}
		r.leases[k.Lease] = l
	}
	shard := r.shards.Locate(k.Key).ID
	if n := len(l.shards); n == 0 || l.shards[n-1] != shard {
		l.shards = append(l.shards, shard) // keys and shards are in the same order
	}
	return nil
}

// grant notes a lease.
func (r *restorer) grant(l *kv.Lease) error {
	if r.leases[l.ID] == nil {
		r.leases[l.ID] = &restoredLease{}
	}
	r.leases[l.ID].granted = l.Granted
	return nil
}

// write fills the engine, and returns once that survives a crash.
func (r *restorer) write(e engine.Engine) error {
	r.engine, r.batch = e, e.NewBatch()
	err := r.writeKeys()
	if err == nil {
		err = r.writeLeases()
	}
	if err == nil {
		err = r.writeShards()
	}
	if err != nil {
		return errors.Join(err, r.batch.Close())
	}
	if err := r.batch.Commit(); err != nil {
		return err
	}
	return e.Flush()
}

// writeKeys reads the file for the second time.
func (r *restorer) writeKeys() error {
	all := keyspace.VersionSpan(kv.Range{})
	in, err := r.engine.NewIngest([]engine.Span{engine.Span(all)})
	if err != nil {
		return err
	}
	sum, err := r.read(1, backup.Sink{Key: func(k *kv.KeyValue) error {
		return r.writeKey(in, k)
	}})
	if err == nil && sum != r.result.Summary {
		err = kv.Invalid("%s was changed while it was restored", r.from.Name)
	}
	if err != nil {
		return errors.Join(err, in.Abort())
	}
	return in.Commit()
}

func (r *restorer) writeKey(in engine.Ingest, k *kv.KeyValue) error {
	shard := r.shards.Locate(k.Key).ID
	if !r.holds[shard] {
		return nil
	}
	r.key = keyspace.VersionKey(r.key[:0], k.Key, k.ModRevision)
	r.value = keyspace.AppendVersion(r.value[:0], keyspace.Version{
		Create: k.CreateRevision, Count: k.Version, Lease: k.Lease, Value: k.Value,
	})
	if err := in.Add(r.key, r.value); err != nil || k.Lease == 0 {
		return err
	}
	r.key = keyspace.LeaseIndexKey(r.key[:0], shard, k.Lease, k.Key)
	return r.set(r.key, nil)
}

// writeLeases writes what the system shard and the data shards know of leases.
func (r *restorer) writeLeases() error {
	mark := keyspace.AppendLeaseMark(nil, keyspace.LeaseMark{Life: restoredLife})
	for _, id := range slices.Sorted(maps.Keys(r.leases)) {
		l := r.leases[id]
		for _, shard := range l.shards {
			if !r.holds[shard] {
				continue
			}
			r.key = keyspace.LeaseMetaKey(r.key[:0], shard, id)
			if err := r.set(r.key, mark); err != nil {
				return err
			}
		}
		if !r.holds[kv.SystemShard] {
			continue
		}
		r.key = keyspace.LeaseMetaKey(r.key[:0], kv.SystemShard, id)
		r.value = keyspace.AppendLeaseRecord(r.value[:0], keyspace.LeaseRecord{
			Life: restoredLife, TTLSeconds: l.granted, LeftMillis: l.granted * 1000,
			Shards: l.shards,
		})
		if err := r.set(r.key, r.value); err != nil {
			return err
		}
	}
	return nil
}

// writeShards writes where each shard begins.
func (r *restorer) writeShards() error {
	for _, s := range placedOn(r.shards, r.self) {
		err := replica.BootstrapAt(r.batch, placement.NewDescriptor(s), r.result.First)
		if err == nil && s.ID == kv.SystemShard {
			err = placement.StoreMap(r.batch, r.shards)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// set writes a pair, in batches that are bounded.
func (r *restorer) set(key, value []byte) error {
	if r.batch.Size() >= restoreBatchBytes {
		if err := r.batch.Commit(); err != nil {
			return err
		}
		r.batch = r.engine.NewBatch()
	}
	return r.batch.Set(key, value)
}
