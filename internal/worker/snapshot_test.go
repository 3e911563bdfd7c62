package worker

import (
	"slices"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/wire"
	"go.etcd.io/raft/v3/raftpb"
)

// A leader that has lost acknowledgements offers a snapshot of what its follower has
// applied. It is told so, or it would offer that for ever.
func TestADeclinedSnapshotTellsHowFarTheReplicaIs(t *testing.T) {
	all := newTrio(t)
	defer all.close()
	all.wait(10 * time.Second)
	all[0].submit(put("a"))
	all.settle()
	all.wait(100 * time.Millisecond)
	last := all[2].worker.Replica(1).Applied().Index
	var told []uint64
	network := all[2].network
	all[2].network = func(snd *replica.Send) {
		r := snd.Message.Raft
		if r != nil && r.Shard == 1 && r.Msg.GetType() == raftpb.MsgAppResp {
			told = append(told, r.Msg.GetIndex())
		}
		network(snd)
	}
	for index := last; index > last-2; index-- {
		told = nil
		if err := all[2].worker.Offer(offered(all, index)); err == nil {
			t.Fatalf("a snapshot at %d is wanted, %d is applied", index, last)
		}
		all[2].pass()
		if !slices.Equal(told, []uint64{last}) {
			t.Errorf("offered %d, tells %v, want %d", index, told, last)
		}
		all.wait(50 * time.Millisecond)
	}
	if now := all[2].worker.Replica(1).Applied().Index; now != last {
		t.Errorf("%d was applied, and now is %d", last, now)
	}
}

// offered is a snapshot of shard 1 that its leader, n1, offers to n3.
func offered(all trio, index uint64) *wire.SnapshotHeader {
	r := all[2].worker.Replica(1)
	desc := r.Descriptor()
	id := func(node kv.NodeID) *uint64 {
		on, _ := desc.On(node)
		return new(uint64(on.ID))
	}
	return &wire.SnapshotHeader{
		Shard: 1, Descriptor: desc.Encode(),
		Msg: &raftpb.Message{
			Type: raftpb.MsgSnap.Enum(), From: id(1), To: id(3), Term: new(r.Term()),
			Snapshot: &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{
				Index: new(index), Term: new(r.Term()),
			}},
		},
	}
}
