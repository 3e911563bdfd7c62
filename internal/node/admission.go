package node

import (
	"errors"
	"fmt"
	"sync/atomic"
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

// entrance is that of one shard. What a read comes to is not known before it is done: it
// counts as the last ones did, of a key or of a range.
type entrance struct {
	reads, writes *admission.Limiter
	keys, ranges  usual
	metrics       *admission.Collector
}

func newEntrances(m placement.Map, requestTimeout time.Duration) entrances {
	target := requestTimeout / targetPart
	all := entrances{}
	add := func(shard kv.ShardID) {
		e := &entrance{
			reads: admission.New(target, time.Now), writes: admission.New(target, time.Now),
		}
		e.ranges.sixteenths.Store(rangesAtFirst * 16)
		e.metrics = admission.NewCollector(shard.String(), e.reads, e.writes)
		all[shard] = e
	}
	add(m.System.ID)
	for i := range m.Shards {
		add(m.Shards[i].ID)
	}
	return all
}

// visit is a request on its way through an entrance.
type visit struct {
	limiter *admission.Limiter
	units   admission.Units
	// usual is what its like come to, nil if that was known.
	usual *usual
}

// visit is what a request to a shard has to go through, with no limiter for what has to
// go on whatever the load, and is rare or costs little: renewals and ends of leases,
// what gives room back, what operators ask for.
func (e entrances) visit(shard kv.ShardID, req *worker.Request) visit {
	at := e[shard]
	switch {
	case at == nil:
	case req.Range != nil && req.Range.CountOnly:
		return visit{limiter: at.reads, units: 1}
	case req.Range != nil && req.Range.IsPoint():
		return visit{limiter: at.reads, units: 1 + at.keys.units(), usual: &at.keys}
	case req.Range != nil:
		return visit{limiter: at.reads, units: 1 + at.ranges.units(), usual: &at.ranges}
	case req.Txn != nil:
		return visit{limiter: at.writes, units: 1 + admission.UnitsOf(req.Txn.Size())}
	case req.Lease != nil && req.Lease.Op == wire.LeaseGrant:
		return visit{limiter: at.writes, units: 1}
	}
	return visit{}
}

// leave ends a visit.
func (v *visit) leave(r *worker.Reply, err error) {
	if err == nil && v.usual != nil && r.Range != nil {
		carried := admission.Units(r.Range.Size() / answerUnitBytes)
		v.usual.learn(carried)
		v.limiter.Hold(1 + carried - v.units)
		v.units = 1 + carried
	}
	v.limiter.Leave(v.units, err == nil || isDone(err))
}

// answerUnitBytes is how much of an answer counts as another request. It is less than
// requests may carry, since an answer is there several times: as it is read, as it
// travels from the leader, and as it is encoded for the client.
const answerUnitBytes = 16 << 10

// rangesAtFirst is what ranges count before any was read.
const rangesAtFirst = 16

// usual is what answers carried of late, in sixteenths of a unit.
type usual struct{ sixteenths atomic.Int64 }

func (u *usual) units() admission.Units { return admission.Units(u.sixteenths.Load() / 16) }

// learn takes in what another carried: an eighth of what is known from then on. If two
// do so at the same moment, one is lost.
func (u *usual) learn(carried admission.Units) {
	old := u.sixteenths.Load()
	if more := int64(carried)*16 - old; more != 0 {
		step := more / 8
		if step == 0 {
			step = more
		}
		u.sixteenths.Store(old + step)
	}
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
