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
	reads, writes *admission.Room
	keys, ranges  usual
	metrics       *admission.Collector
}

func newEntrances(m placement.Map, requestTimeout time.Duration) entrances {
	target := requestTimeout / targetPart
	all := entrances{}
	add := func(shard kv.ShardID) {
		e := &entrance{
			reads:  admission.NewRoom(admission.ReadLoads, target, time.Now),
			writes: admission.NewRoom(admission.WriteLoads, target, time.Now),
		}
		e.ranges.bytes.Store(rangeBytesAtFirst)
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
	room  *admission.Room
	bytes int
	// usual is what its like carry, nil if that was known.
	usual *usual
}

// visit is what a request to a shard has to go through, with no room for what has to
// go on whatever the load, and is rare or costs little: renewals and ends of leases,
// what gives room back, what operators ask for.
func (e entrances) visit(shard kv.ShardID, req *worker.Request) visit {
	at := e[shard]
	switch {
	case at == nil:
	case req.Range != nil && req.Range.CountOnly:
		return visit{room: at.reads}
	case req.Range != nil && req.Range.IsPoint():
		return visit{room: at.reads, bytes: at.keys.expect(), usual: &at.keys}
	case req.Range != nil:
		return visit{room: at.reads, bytes: at.ranges.expect(), usual: &at.ranges}
	case req.Txn != nil:
		return visit{room: at.writes, bytes: req.Txn.Size()}
	case req.Lease != nil && req.Lease.Op == wire.LeaseGrant:
		return visit{room: at.writes}
	}
	return visit{}
}

// leave ends a visit.
func (v *visit) leave(r *worker.Reply, err error) {
	if v.room == nil {
		return
	}
	if err == nil && v.usual != nil && r.Range != nil {
		carried := r.Range.Size()
		v.usual.learn(carried)
		v.room.Hold(carried - v.bytes)
		v.bytes = carried
	}
	v.room.Leave(v.bytes, err == nil || isDone(err))
}

// rangeBytesAtFirst is what a range is expected to carry before any was read.
const rangeBytesAtFirst = 256 << 10

// usual is what answers carried of late.
type usual struct{ bytes atomic.Int64 }

func (u *usual) expect() int { return int(u.bytes.Load()) }

// learn takes in what another carried: an eighth of what is known from then on. If two
// do so at the same moment, one is lost.
func (u *usual) learn(carried int) {
	old := u.bytes.Load()
	if more := int64(carried) - old; more != 0 {
		step := more / 8
		if step == 0 {
			step = more
		}
		u.bytes.Store(old + step)
	}
}

// tooMany tells why a request to a shard is refused.
func tooMany(shard kv.ShardID, r *admission.Room) error {
	calls, bytes := r.Live()
	return fmt.Errorf("%w: %d are under way to shard %v, with %d bytes, which is as much as "+
		"it does in time", kv.ErrTooManyRequests, calls, shard, bytes)
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
