package main

import (
	"context"
	"time"

	"github.com/miruvor/miruvor/internal/history"
	"github.com/miruvor/miruvor/internal/kv"
)

// samplePause is how often the nodes are asked who leads.
const samplePause = 250 * time.Millisecond

// sampler looks at who leads.
type sampler struct {
	cluster *cluster
	history *history.History
	terms   map[kv.ShardID]leadership
	// changes are the changes of leaders that were seen.
	changes []change
}

// leadership is a shard's leader in a term.
type leadership struct {
	node kv.NodeID
	term uint64
}

// change is a shard that got another leader.
type change struct {
	at    time.Duration
	shard kv.ShardID
	leadership
}

// run samples until ctx ends.
func (s *sampler) run(ctx context.Context) {
	s.terms = map[kv.ShardID]leadership{}
	for ctx.Err() == nil {
		for _, st := range s.cluster.statuses(ctx) {
			for _, shard := range st.Shards {
				s.see(shard.ID, leadership{shard.Leader, shard.Term})
			}
		}
		wait(ctx, samplePause)
	}
}

func (s *sampler) see(shard kv.ShardID, l leadership) {
	last, known := s.terms[shard]
	if l.node == 0 || known && l.term <= last.term {
		return
	}
	s.terms[shard] = l
	if known {
		s.changes = append(s.changes, change{s.history.Now(), shard, l})
	}
}
