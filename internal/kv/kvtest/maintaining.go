package kvtest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
)

// Maintained is a store that can be asked what operators ask.
type Maintained interface {
	kv.Store
	kv.Maintainer
}

// RunMaintainer holds a store to what kv.Maintainer promises. Its node leads the
// system shard, and goes on leading it.
func RunMaintainer(t *testing.T, store Maintained) {
	for _, tc := range []struct {
		name string
		run  func(*testing.T, context.Context, Maintained)
	}{
		{"standing", standing},
		{"alarms", alarms},
		{"no_space", noSpace},
		{"move_leader", moveLeader},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), caseTimeout)
			defer cancel()
			tc.run(t, ctx, store)
		})
	}
}

func standing(t *testing.T, ctx context.Context, store Maintained) {
	status, err := store.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	st := store.Standing()
	if st.Cluster != status.Cluster || st.Node != status.Node {
		t.Errorf("it stands as %v of %v, and is %v of %v", st.Node, st.Cluster, status.Node,
			status.Cluster)
	}
	if st.Leader != st.Node || st.Term == 0 {
		t.Errorf("%v leads in term %d, as %v has it", st.Leader, st.Term, st.Node)
	}
}

// alarms: they are listed in order, and raising or clearing one twice changes
// nothing.
func alarms(t *testing.T, ctx context.Context, store Maintained) {
	first := kv.Alarm{Node: store.Standing().Node, Kind: kv.AlarmCorrupt}
	second := kv.Alarm{Node: first.Node + 1, Kind: kv.AlarmCorrupt}
	for _, step := range []struct {
		change  func(context.Context, kv.Alarm) (bool, error)
		alarm   kv.Alarm
		changed bool
		left    []kv.Alarm
	}{
		{store.ClearAlarm, first, false, nil},
		{store.RaiseAlarm, second, true, []kv.Alarm{second}},
		{store.RaiseAlarm, first, true, []kv.Alarm{first, second}},
		{store.RaiseAlarm, second, false, []kv.Alarm{first, second}},
		{store.ClearAlarm, second, true, []kv.Alarm{first}},
		{store.ClearAlarm, second, false, []kv.Alarm{first}},
		{store.ClearAlarm, first, true, nil},
	} {
		changed, err := step.change(ctx, step.alarm)
		if err != nil || changed != step.changed {
			t.Fatalf("%+v: %v, %v; wanted %v", step.alarm, changed, err, step.changed)
		}
		mustAlarm(t, ctx, store, step.left...)
	}
	for _, bad := range []kv.Alarm{{Kind: kv.AlarmNoSpace}, {Node: 1}, {Node: 1, Kind: 3}} {
		if _, err := store.RaiseAlarm(ctx, bad); !errors.Is(err, kv.ErrInvalid) {
			t.Errorf("%+v is raised: %v", bad, err)
		}
		if _, err := store.ClearAlarm(ctx, bad); !errors.Is(err, kv.ErrInvalid) {
			t.Errorf("%+v is cleared: %v", bad, err)
		}
	}
}

// mustAlarm compares the alarms with those that there should be.
func mustAlarm(t *testing.T, ctx context.Context, store Maintained, want ...kv.Alarm) {
	t.Helper()
	listed, err := store.Alarms(ctx)
	if err != nil || !slices.Equal(listed, want) {
		t.Fatalf("alarms are %v, %v; wanted %v", listed, err, want)
	}
	status, err := store.Status(ctx)
	if err != nil || !slices.Equal(status.Alarms, want) {
		t.Fatalf("the status has alarms %v, %v; wanted %v", status.Alarms, err, want)
	}
}

// noSpace: while some node has no space, what may need room is refused, and
// nothing else.
func noSpace(t *testing.T, ctx context.Context, store Maintained) {
	k := []byte(Prefix + "space")
	put := kv.Op{Put: &kv.PutRequest{Key: k, Value: []byte("v")}}
	nested := kv.Op{Txn: &kv.TxnRequest{Failure: []kv.Op{put}}}
	lease, err := store.LeaseGrant(ctx, kv.LeaseGrantRequest{TTL: 100})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Txn(ctx, kv.TxnRequest{Success: []kv.Op{put}}); err != nil {
		t.Fatal(err)
	}
	full := kv.Alarm{Node: store.Standing().Node, Kind: kv.AlarmNoSpace}
	if _, err := store.RaiseAlarm(ctx, full); err != nil {
		t.Fatal(err)
	}
	for _, req := range []kv.TxnRequest{
		{Success: []kv.Op{put}}, {Failure: []kv.Op{put}}, {Success: []kv.Op{nested}},
	} {
		if _, err := store.Txn(ctx, req); !errors.Is(err, kv.ErrNoSpace) {
			t.Errorf("a put without space: %v", err)
		}
	}
	if _, err := store.LeaseGrant(ctx, kv.LeaseGrantRequest{TTL: 100}); !errors.Is(
		err, kv.ErrNoSpace) {
		t.Errorf("a lease without space: %v", err)
	}
	goesOn(t, ctx, store, k, lease.ID)
	if _, err := store.ClearAlarm(ctx, full); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Txn(ctx, kv.TxnRequest{Success: []kv.Op{put}}); err != nil {
		t.Errorf("a put when there is space again: %v", err)
	}
	if _, err := kv.Delete(ctx, store, kv.DeleteRequest{Range: kv.PointRange(k)}); err != nil {
		t.Error(err)
	}
}

// goesOn: what gives room back, and what needs none, goes on.
func goesOn(t *testing.T, ctx context.Context, store Maintained, k []byte, id kv.LeaseID) {
	read, err := store.Range(ctx, kv.RangeRequest{Range: kv.PointRange(k)})
	if err != nil || len(read.KVs) != 1 {
		t.Errorf("a read without space: %v, %v", read, err)
	}
	deleted, err := kv.Delete(ctx, store, kv.DeleteRequest{Range: kv.PointRange(k)})
	if err != nil || deleted.Results[0].Delete.Deleted != 1 {
		t.Errorf("a delete without space: %v, %v", deleted, err)
	}
	if _, err := store.Compact(ctx, deleted.Revision); err != nil {
		t.Errorf("a compaction without space: %v", err)
	}
	if _, err := store.LeaseKeepAlive(ctx, id); err != nil {
		t.Errorf("a keep-alive without space: %v", err)
	}
	if _, err := store.LeaseRevoke(ctx, id); err != nil {
		t.Errorf("the end of a lease without space: %v", err)
	}
}

// moveLeader: to itself, a leader need not move; nobody else can be told of here.
func moveLeader(t *testing.T, ctx context.Context, store Maintained) {
	self := store.Standing().Node
	if err := store.MoveLeader(ctx, self); err != nil {
		t.Errorf("to itself: %v", err)
	}
	if err := store.MoveLeader(ctx, self+1000); !errors.Is(err, kv.ErrBadTransferee) {
		t.Errorf("to nobody: %v", err)
	}
}
