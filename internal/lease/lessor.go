package lease

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// Lessor knows all leases. Its zero value knows none.
type Lessor struct {
	leases map[kv.LeaseID]*held
	// events has one for each lease that is not being revoked, at or before the
	// time at which something has to be done about it.
	events events
	// dirty are the leases whose records differ from those in batches, each once.
	dirty []kv.LeaseID
	// batch is the number of the next one.
	batch uint64
	// lives is the last life given out.
	lives uint64
	stats Stats
}

// held is a lease.
type held struct {
	id   kv.LeaseID
	life uint64
	ttl  time.Duration
	// deadline is when its time is up; left is what the log has, or will have
	// with the batch, of the time left. From checkpoint on it should have less.
	deadline   wire.Instant
	left       time.Duration
	checkpoint wire.Instant
	shards     []kv.ShardID
	revoking   bool
	// batch holds its last change.
	batch uint64
	dirty bool
}

// State is what can be done with a lease.
type State uint8

// The states. The time of a lease that is Ending is up, or it is being
// revoked: it will be Unknown soon, and can do nothing else.
const (
	Unknown State = iota
	Alive
	Ending
)

// Stats are numbers about leases.
type Stats struct {
	// Held counts the leases, Revoking those of them that are coming to their end.
	Held, Revoking int
	// Granted, Renewed, Expired and Checkpoints count what happened here.
	Granted, Renewed, Expired, Checkpoints uint64
}

// leasesMax bounds the leases of a cluster.
const leasesMax = 1_000_000

// Lead forgets everything and begins a term. Load follows, with every record.
func (l *Lessor) Lead(term uint64) {
	*l = Lessor{
		leases: map[kv.LeaseID]*held{}, batch: 1, lives: term << 32, stats: l.stats,
	}
	l.stats.Revoking = 0
}

// Load takes up a lease as the log has it.
func (l *Lessor) Load(now wire.Instant, id kv.LeaseID, r *keyspace.LeaseRecord) {
	left := time.Duration(r.LeftMillis) * time.Millisecond
	h := &held{
		id: id, life: r.Life, ttl: seconds(r.TTLSeconds), left: left, deadline: after(now, left),
		shards: slices.Clone(r.Shards), revoking: r.Revoking,
	}
	h.checkpoint = after(now, h.interval())
	l.leases[id] = h
	if h.revoking {
		l.stats.Revoking++
		return
	}
	l.events.add(h)
}

// Grant makes a lease; id is not 0, ttl in seconds. It returns
// kv.ErrLeaseExists, kv.ErrLeaseTTLTooLarge and kv.ErrTooManyRequests.
func (l *Lessor) Grant(now wire.Instant, id kv.LeaseID, ttl int64) (batch uint64, err error) {
	switch _, taken := l.leases[id]; {
	case ttl > kv.LeaseTTLMax:
		return 0, fmt.Errorf("%w: %d seconds, the most is %d", kv.ErrLeaseTTLTooLarge, ttl,
			int64(kv.LeaseTTLMax))
	case taken:
		return 0, fmt.Errorf("%w: %d", kv.ErrLeaseExists, id)
	case len(l.leases) >= leasesMax:
		return 0, fmt.Errorf("%w: there are %d leases already", kv.ErrTooManyRequests, leasesMax)
	}
	l.lives++
	h := &held{id: id, life: l.lives, ttl: seconds(max(ttl, kv.LeaseTTLMin))}
	l.leases[id] = h
	l.stats.Granted++
	h.renew(now)
	l.change(h)
	l.events.add(h)
	return h.batch, nil
}

// State tells what can be done with a lease.
func (l *Lessor) State(now wire.Instant, id kv.LeaseID) State {
	h, ok := l.leases[id]
	switch {
	case !ok:
		return Unknown
	case h.revoking || h.deadline <= now:
		return Ending
	}
	return Alive
}

// Renew begins the time of a lease that is Alive anew.
func (l *Lessor) Renew(now wire.Instant, id kv.LeaseID) (batch uint64) {
	l.stats.Renewed++
	return l.Extend(now, id)
}

// Extend is Renew once more, when the batch of that is applied: a lease lives
// for its time from the answer on. If the batch differs, there was a checkpoint
// meanwhile, and the answer has to wait again.
func (l *Lessor) Extend(now wire.Instant, id kv.LeaseID) (batch uint64) {
	h := l.leases[id]
	if h.left < h.ttl {
		l.change(h)
	}
	h.renew(now)
	return h.batch
}

// Attach notes that keys of a shard may hang on a lease that is Alive.
func (l *Lessor) Attach(id kv.LeaseID, shard kv.ShardID) (batch uint64) {
	h := l.leases[id]
	if i, found := slices.BinarySearch(h.shards, shard); !found {
		h.shards = slices.Insert(slices.Clip(h.shards), i, shard)
		l.change(h)
	}
	return h.batch
}

// Revoke begins the end of a lease that exists.
func (l *Lessor) Revoke(now wire.Instant, id kv.LeaseID) (batch uint64) {
	h := l.leases[id]
	if !h.revoking {
		if h.deadline <= now {
			l.stats.Expired++
		}
		h.revoking = true
		l.stats.Revoking++
		l.change(h)
	}
	return h.batch
}

// Remove ends a lease that is being revoked.
func (l *Lessor) Remove(id kv.LeaseID) (batch uint64) {
	h := l.leases[id]
	l.change(h)
	delete(l.leases, id)
	l.stats.Revoking--
	return h.batch
}

// Lease describes a lease that exists.
func (l *Lessor) Lease(now wire.Instant, id kv.LeaseID) (lease kv.Lease, batch uint64) {
	h := l.leases[id]
	left := time.Duration(max(0, h.deadline-now))
	return kv.Lease{
		ID: id, TTL: int64(left / time.Second), Granted: int64(h.ttl / time.Second),
	}, h.batch
}

// Life is the life of a lease that exists.
func (l *Lessor) Life(id kv.LeaseID) uint64 { return l.leases[id].life }

// Shards are those where keys may hang on a lease that exists, ascending. They
// are the Lessor's.
func (l *Lessor) Shards(id kv.LeaseID) []kv.ShardID { return l.leases[id].shards }

// IDs are all leases, ascending.
func (l *Lessor) IDs() []kv.LeaseID { return slices.Sorted(maps.Keys(l.leases)) }

// Revoking are the leases that are coming to their end, ascending.
func (l *Lessor) Revoking() []kv.LeaseID {
	var ids []kv.LeaseID
	for id, h := range l.leases {
		if h.revoking {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Stats are the numbers as of now.
func (l *Lessor) Stats() Stats {
	s := l.stats
	s.Held = len(l.leases)
	return s
}

// renew begins the time anew.
func (h *held) renew(now wire.Instant) {
	h.deadline, h.left = after(now, h.ttl), h.ttl
	h.checkpoint = after(now, h.interval())
}

// interval lies between two checkpoints: how exactly a new leader knows the time
// left.
func (h *held) interval() time.Duration { return max(time.Second, h.ttl/10) }

// seconds is a duration of n seconds, at most the longest one there is.
func seconds(n int64) time.Duration {
	return time.Duration(min(n, math.MaxInt64/int64(time.Second))) * time.Second
}

// after is d later than now, at most the last instant there is.
func after(now wire.Instant, d time.Duration) wire.Instant {
	if wire.Instant(d) > math.MaxInt64-now {
		return math.MaxInt64
	}
	return now + wire.Instant(d)
}
