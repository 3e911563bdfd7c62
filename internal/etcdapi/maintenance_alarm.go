package etcdapi

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/miruvor/miruvor/internal/kv"
)

// Alarm lists alarms, of all kinds with AlarmType_NONE, or changes one, which it
// returns; of one to clear that was not raised there is nothing to return.
func (s *maintenanceServer) Alarm(
	ctx context.Context, r *pb.AlarmRequest,
) (*pb.AlarmResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.api.timeout)
	defer cancel()
	var alarms []kv.Alarm
	var err error
	switch r.Action {
	case pb.AlarmRequest_GET:
		alarms, err = s.alarmsOf(ctx, r.Alarm)
	case pb.AlarmRequest_ACTIVATE, pb.AlarmRequest_DEACTIVATE:
		if r.Alarm != pb.AlarmType_NONE {
			alarms, err = s.changeAlarm(ctx, r)
		}
	}
	if err != nil {
		return nil, failure(err)
	}
	status, err := s.api.store.Status(ctx)
	if err != nil {
		return nil, failure(err)
	}
	answer := &pb.AlarmResponse{Header: s.api.header(status.Revision)}
	for _, a := range alarms {
		answer.Alarms = append(answer.Alarms,
			&pb.AlarmMember{MemberID: uint64(a.Node), Alarm: pb.AlarmType(a.Kind)})
	}
	return answer, nil
}

func (s *maintenanceServer) alarmsOf(
	ctx context.Context, kind pb.AlarmType,
) ([]kv.Alarm, error) {
	all, err := s.api.maint.Alarms(ctx)
	var found []kv.Alarm
	for _, a := range all {
		if kind == pb.AlarmType_NONE || pb.AlarmType(a.Kind) == kind {
			found = append(found, a)
		}
	}
	return found, err
}

func (s *maintenanceServer) changeAlarm(
	ctx context.Context, r *pb.AlarmRequest,
) ([]kv.Alarm, error) {
	if !isKnown(int32(r.Alarm), pb.AlarmType_name) {
		return nil, kv.Invalid("alarm: there is no kind %d", int32(r.Alarm))
	}
	a := kv.Alarm{Node: kv.NodeID(r.MemberID), Kind: kv.AlarmKind(r.Alarm)}
	if r.Action == pb.AlarmRequest_ACTIVATE {
		_, err := s.api.maint.RaiseAlarm(ctx, a)
		return []kv.Alarm{a}, err
	}
	if a.Check() != nil {
		return nil, nil
	}
	changed, err := s.api.maint.ClearAlarm(ctx, a)
	if err != nil || !changed {
		return nil, err
	}
	return []kv.Alarm{a}, nil
}
