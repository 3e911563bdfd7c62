package worker

import (
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/lease"
	"github.com/miruvor/miruvor/internal/replica"
)

// Load is how busy a worker is, and where its oracle stands.
type Load struct {
	// Calls counts the clients' requests that are not answered yet.
	Calls int
	// Crossed counts the transactions over several shards that began here,
	// CrossedAgain how often one began anew, since the worker began.
	Crossed, CrossedAgain int64
	Oracle                OracleLoad
	Leases                LeaseLoad
	// Shards are the replicas here, in the order of their shards.
	Shards []ShardLoad
}

// ShardLoad is a replica's status and load.
type ShardLoad struct {
	kv.ShardStatus
	replica.Load
}

// OracleLoad is the oracle of a node that leads its shard (placement.Map.Oracle).
type OracleLoad struct {
	// Here says that this worker has the shard.
	Here    bool
	Serving bool
	// Last was handed out last, up to Mark more may be; both are 0 while the oracle
	// does not serve. That of the only shard with keys has no mark: Mark is Last.
	Last, Mark kv.Revision
	// Waiting counts the requests that a higher mark has to be committed for.
	Waiting int
}

// LeaseLoad are the leases of a node that leads the system shard.
type LeaseLoad struct {
	lease.Stats
	// Waiting counts the requests that wait for the log.
	Waiting int
}

// Load describes the worker by numbers. It is cheap.
func (w *Worker) Load() Load {
	l := Load{
		Calls: w.calls.live, Crossed: w.calls.crossed, CrossedAgain: w.calls.crossedAgain,
	}
	for _, shard := range w.order {
		r := w.replicas[shard]
		l.Shards = append(l.Shards, ShardLoad{ShardStatus: r.Status(), Load: r.Load()})
	}
	l.Oracle = w.oracleLoad()
	o := &w.office
	l.Leases = LeaseLoad{Stats: o.lessor.Stats(), Waiting: len(o.lessor.errands)}
	if o.lessor.term == 0 {
		l.Leases.Held, l.Leases.Revoking = 0, 0
	}
	return l
}

func (w *Worker) oracleLoad() OracleLoad {
	o, shard := &w.office, w.shards.Oracle()
	l := OracleLoad{Serving: o.oracle.Serving(), Waiting: len(o.waiting)}
	_, l.Here = w.replicas[shard]
	switch r := w.alone(); {
	case r != nil && r.Leading():
		l.Serving, l.Last, l.Mark = true, r.Last(), r.Last()
	case l.Serving:
		l.Last, l.Mark = o.oracle.Last(), o.mark
	}
	return l
}
