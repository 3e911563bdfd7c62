package etcdapi

import (
	"context"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/miruvor/miruvor/internal/kv"
)

// maintenanceServer is etcd's Maintenance service. Downgrade is unimplemented:
// there is no etcd to go back to.
type maintenanceServer struct {
	pb.UnimplementedMaintenanceServer
	api *API
}

// Status tells how the node is.
func (s *maintenanceServer) Status(
	ctx context.Context, _ *pb.StatusRequest,
) (*pb.StatusResponse, error) {
	status, err := s.api.store.Status(ctx)
	if err != nil {
		return nil, failure(err)
	}
	standing := s.api.maint.Standing()
	committed, applied := indexes(status.Shards)
	return &pb.StatusResponse{
		Header:           s.api.header(status.Revision),
		Version:          Version,
		StorageVersion:   StorageVersion,
		DbSize:           status.Storage.Bytes,
		DbSizeInUse:      status.Storage.InUseBytes,
		DbSizeQuota:      status.Storage.QuotaBytes,
		Leader:           uint64(standing.Leader),
		RaftTerm:         standing.Term,
		RaftIndex:        committed,
		RaftAppliedIndex: applied,
		Errors:           troubles(standing, status.Alarms),
		DowngradeInfo:    &pb.DowngradeInfo{},
	}, nil
}

// indexes are those of the one log that etcd would have: the sums over the
// node's shards, so that what they differ by is still how far it is behind.
func indexes(shards []kv.ShardStatus) (committed, applied uint64) {
	for i := range shards {
		committed += shards[i].Commit
		applied += shards[i].Applied
	}
	return committed, applied
}

// troubles are the errors that a status tells.
func troubles(standing kv.Standing, alarms []kv.Alarm) []string {
	var texts []string
	if standing.Leader == 0 {
		texts = append(texts, rpctypes.ErrorDesc(rpctypes.ErrGRPCNoLeader))
	}
	for _, a := range alarms {
		texts = append(texts,
			fmt.Sprintf("memberID:%d alarm:%s", uint64(a.Node), pb.AlarmType(a.Kind)))
	}
	return texts
}

// Defragment has nothing to do: space comes back by itself. As in etcd its
// answer has no header.
func (s *maintenanceServer) Defragment(
	context.Context, *pb.DefragmentRequest,
) (*pb.DefragmentResponse, error) {
	return &pb.DefragmentResponse{}, nil
}

// MoveLeader has another node lead what this one leads.
func (s *maintenanceServer) MoveLeader(
	ctx context.Context, r *pb.MoveLeaderRequest,
) (*pb.MoveLeaderResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.api.timeout)
	defer cancel()
	if err := s.api.maint.MoveLeader(ctx, kv.NodeID(r.TargetID)); err != nil {
		return nil, failure(err)
	}
	return &pb.MoveLeaderResponse{}, nil
}
