package replica

import (
	"encoding/binary"
	"fmt"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
	"go.etcd.io/raft/v3/raftpb"
)

// floors are the compaction floors on their way through the log. The system
// shard's is the cluster's; its leader then raises those of the data shards.
type floors struct {
	// proposed is the highest in this term.
	proposed kv.Revision
	// waiting are those who asked for a floor that is not applied yet.
	waiting []floorAsk
	sweep   sweep
}

type floorAsk struct {
	from  Origin
	rev   kv.Revision
	since wire.Instant
}

// floorAsksMax is far more than nodes that could take themselves for the
// leader of the system shard.
const floorAsksMax = 64

// Compacted is the compaction floor as of the last applied entry, 0 for none.
func (r *Replica) Compacted() kv.Revision { return r.state.compacted }

// ProposedFloor is the highest floor that went into the log in this term, 0 if
// none did.
func (r *Replica) ProposedFloor() kv.Revision { return r.floors.proposed }

// ProposeFloor sends a compaction floor through the log, unless one that is
// as high is on its way. It reports whether raft took it; Compacted tells when
// it is applied.
func (r *Replica) ProposeFloor(rev kv.Revision) bool {
	f := &r.floors
	if rev <= f.proposed {
		return true
	}
	if !r.step([]*raftpb.Entry{{Data: appendFloor(nil, rev)}}) {
		return false
	}
	f.proposed = rev
	return true
}

// submitFloor raises the floor of a data shard, or finds that it is there.
// Whoever asks has had the revision's own check made by the system shard.
func (r *Replica) submitFloor(now wire.Instant, from Origin, rev kv.Revision, out *Output) {
	f := &r.floors
	switch {
	case rev > kv.RevisionMax:
		r.fail(from, kv.Invalid("compaction floor: %d, the most is %d", int64(rev),
			int64(kv.RevisionMax)), out)
	case rev <= r.state.compacted:
		r.answerFloor(from, out)
	case len(f.waiting) >= floorAsksMax:
		r.fail(from, kv.ErrTooManyRequests, out)
	case !r.ProposeFloor(rev):
		r.answer(from, &wire.Response{Code: wire.CodeRetry}, out)
	default:
		f.waiting = append(f.waiting, floorAsk{from, rev, now})
	}
}

func (r *Replica) answerFloor(to Origin, out *Output) {
	r.answer(to, &wire.Response{UpkeepResponse: wire.UpkeepResponse{
		Compacted: &wire.Compacted{Floor: r.state.compacted},
	}}, out)
}

// answerFloors answers those whose floor is applied.
func (r *Replica) answerFloors(out *Output) {
	r.sift(func(a floorAsk) bool {
		if a.rev <= r.state.compacted {
			r.answerFloor(a.from, out)
		}
		return a.rev > r.state.compacted
	})
}

// expireFloors gives up those who have waited since before.
func (r *Replica) expireFloors(before wire.Instant, out *Output) {
	r.sift(func(a floorAsk) bool {
		if a.since < before {
			r.fail(a.from, kv.ErrTimeout, out)
		}
		return a.since >= before
	})
}

// refuseFloors sends everybody to the new leader. Raising a floor twice does
// no harm.
func (r *Replica) refuseFloors(out *Output) {
	r.floors.proposed = 0
	r.sift(func(a floorAsk) bool {
		r.refuse(a.from, out)
		return false
	})
}

// sift keeps those who go on waiting.
func (r *Replica) sift(waits func(floorAsk) bool) {
	list := r.floors.waiting
	r.floors.waiting = nil
	for _, a := range list {
		if waits(a) {
			r.floors.waiting = append(r.floors.waiting, a)
		}
	}
}

// overtaken reports whether a read that names no revision got a T which was
// compacted before the read could begin. A read that has begun goes on: the
// sweep waits for it.
func (r *Replica) overtaken(rd *read) bool {
	return rd.taken && rd.reading == nil && rd.at < r.state.compacted &&
		(rd.rng == nil || rd.rng.Revision == 0)
}

// retake has a read wait for another T.
func (r *Replica) retake(rd *read) {
	rd.seq, rd.at, rd.taken, rd.wait = r.queue.next(), 0, false, 0
	r.reads.add(rd)
}

// applyFloor raises the floor; it never falls.
func (r *Replica) applyFloor(b engine.Batch, e *raftpb.Entry, body []byte) error {
	rev, err := decodeFloor(body)
	if err != nil || rev <= r.state.compacted {
		return err
	}
	r.state.compacted = rev
	return putApplied(b, r.cfg.Shard, keyspace.KindCompacted, keyspace.Applied{
		Index: e.GetIndex(), Term: e.GetTerm(), Revision: rev,
	})
}

func appendFloor(buf []byte, rev kv.Revision) []byte {
	return binary.AppendUvarint(append(buf, kindFloor), uint64(rev))
}

func decodeFloor(body []byte) (kv.Revision, error) {
	rev, n := binary.Uvarint(body)
	if n != len(body) || n <= 0 || rev > uint64(kv.RevisionMax) {
		return 0, fmt.Errorf("%w: log entry: compaction floor", kv.ErrCorrupt)
	}
	return kv.Revision(rev), nil
}
