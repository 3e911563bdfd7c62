package replica

import (
	"bytes"
	"math"
	"slices"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/wire"
	"go.etcd.io/raft/v3/raftpb"
)

// lease is both sides of the leader's lease (after Yugabyte's, and unlike
// raft's own, which looks at no clock).
//
// The leader: each heartbeat carries its send time; once a quorum has handed
// times back, no voter of that quorum votes before the oldest of them plus
// Lease has passed on the voter's clock, so the leader holds the lease
// until that plus Lease minus Drift on its own. The voter: after a heartbeat,
// and after a restart (it may have acknowledged one before), it refuses to
// vote for Lease. A transfer gives the lease up before it begins, for the
// rest of the term, and lets the chosen one be elected despite promises.
type lease struct {
	// acks are the newest stamps that came back, by replica, in this term.
	acks map[kv.ReplicaID]wire.Instant
	// barred says that a transfer began in this term.
	barred bool
	// promised is until when this replica votes for nobody.
	promised wire.Instant
	// stamps are the last ones heard, to be handed back.
	stamps map[kv.ReplicaID]wire.Instant
}

// heard takes the stamp of a leader's heartbeat and promises not to vote.
func (l *lease) heard(now wire.Instant, from kv.ReplicaID, s wire.Instant, d time.Duration) {
	if s == 0 {
		return
	}
	if l.stamps == nil {
		l.stamps = map[kv.ReplicaID]wire.Instant{}
	}
	l.stamps[from] = s
	l.promise(now, d)
}

func (l *lease) promise(now wire.Instant, d time.Duration) {
	l.promised = max(l.promised, now+wire.Instant(d))
}

// acked takes a stamp that came back from a replica.
func (l *lease) acked(from kv.ReplicaID, stamp wire.Instant) {
	if l.acks == nil {
		l.acks = map[kv.ReplicaID]wire.Instant{}
	}
	l.acks[from] = max(l.acks[from], stamp)
}

// lead begins a term as leader.
func (l *lease) lead() {
	l.acks, l.barred = nil, false
}

// leaseEnd is until when this leader's lease holds.
func (r *Replica) leaseEnd() wire.Instant {
	if r.lease.barred && r.cfg.Mutant != mutant.RenewAfterTransfer {
		return 0
	}
	voters := r.state.desc.Voters()
	if voters == 1 {
		return math.MaxInt64
	}
	stamps := make([]wire.Instant, 0, 8)
	for _, rep := range r.state.desc.Replicas {
		if !rep.Learner && rep.ID != r.id {
			stamps = append(stamps, r.lease.acks[rep.ID])
		}
	}
	slices.Sort(stamps)
	// Beside the leader itself, a quorum needs voters/2 others: the newest.
	oldest := stamps[len(stamps)-voters/2]
	if oldest == 0 {
		return 0
	}
	return oldest + wire.Instant(r.cfg.Timing.Lease-r.cfg.Timing.Drift)
}

// HoldsLease reports whether nobody else can lead at now, as far as clocks can
// be trusted; with ReadQuorum they are not.
func (r *Replica) HoldsLease(now wire.Instant) bool {
	if r.cfg.Mutant == mutant.SkipLeaseCheck {
		return true
	}
	return r.role.serving && r.cfg.ReadMode == ReadLease && now < r.leaseEnd()
}

// refuseVote reports whether a promise forbids to vote in a message's
// election. The leader that the promise was made to can lift it by handing
// leadership over, which the candidate's context tells.
func (r *Replica) refuseVote(now wire.Instant, m *raftpb.Message) bool {
	if r.cfg.Mutant == mutant.PromiseNothing {
		return false
	}
	return now < r.lease.promised && !bytes.Equal(m.GetContext(), campaignTransfer)
}

// campaignTransfer is how raft marks a vote that a leader asked for.
var campaignTransfer = []byte("CampaignTransfer")
