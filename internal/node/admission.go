package node

import (
	"errors"
	"fmt"
	"time"

	"github.com/miruvor/miruvor/internal/admission"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/wire"
	"github.com/miruvor/miruvor/internal/worker"
)

// targetPart of the time that a request may take is spent on it at most, when more is
// asked of a shard than it can do.
const targetPart = 8

// entrances bound what is asked of each shard through this node, so that a shard that
// does nothing, because it has no leader, does not keep requests for others waiting. A
// flood of writes keeps no reads out, nor the other way round.
type entrances map[kv.ShardID]*entrance

// entrance is that of one shard.
type entrance struct {
	reads, writes *admission.Limiter
	metrics       *admission.Collector
}

func newEntrances(m placement.Map, requestTimeout time.Duration) entrances {
	target := requestTimeout / targetPart
	all := entrances{}
	add := func(shard kv.ShardID) {
		e := &entrance{
			reads: admission.New(target, time.Now), writes: admission.New(target, time.Now),
		}
		e.metrics = admission.NewCollector(shard.String(), e.reads, e.writes)
		all[shard] = e
	}
	add(m.System.ID)
	for i := range m.Shards {
		add(m.Shards[i].ID)
	}
	return all
}

// of is the bound for a request to a shard, and what it counts; nil for what has to go
// on whatever the load, and is rare or costs little: renewals and ends of leases, what
// gives room back, what operators ask for.
func (e entrances) of(shard kv.ShardID, req *worker.Request) (*admission.Limiter, admission.Units) {
	at := e[shard]
	switch {
	case at == nil:
		return nil, 0
	case req.Range != nil:
		return at.reads, 1
	case req.Txn != nil:
		return at.writes, 1 + admission.UnitsOf(req.Txn.Size())
	case req.Lease != nil && req.Lease.Op == wire.LeaseGrant:
		return at.writes, 1
	}
	return nil, 0
}

// tooMany tells why a request to a shard is refused.
func tooMany(shard kv.ShardID, l *admission.Limiter) error {
	load := l.Load()
	return fmt.Errorf("%w: %d are under way to shard %v, which is as much as it does in time",
		kv.ErrTooManyRequests, load.Live, shard)
}

// isDone reports whether a request that ended so was one that the shard could do.
func isDone(err error) bool {
	for _, undone := range []error{
		kv.ErrTooManyRequests, kv.ErrTimeout, kv.ErrUncertain, kv.ErrNoLeader, kv.ErrStopped,
		kv.ErrNotReady,
	} {
		if errors.Is(err, undone) {
			return false
		}
	}
	return true
}
