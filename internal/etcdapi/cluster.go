package etcdapi

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/miruvor/miruvor/internal/kv"
)

// clusterServer is etcd's Cluster service. Members are nodes; who is one is
// decided when a cluster begins, so that all but the list is unimplemented.
type clusterServer struct {
	pb.UnimplementedClusterServer
	api *API
}

// MemberList lists the nodes. With Linearizable it fails while the node can't
// reach a majority.
func (s *clusterServer) MemberList(
	ctx context.Context, r *pb.MemberListRequest,
) (*pb.MemberListResponse, error) {
	if r.Linearizable {
		if _, err := s.api.currentRevision(ctx, []byte{0}); err != nil {
			return nil, failure(err)
		}
	}
	status, err := s.api.store.Status(ctx)
	if err != nil {
		return nil, failure(err)
	}
	// Such headers have no revision in etcd either.
	answer := &pb.MemberListResponse{Header: s.api.header(0)}
	for i := range status.Nodes {
		answer.Members = append(answer.Members, member(&status.Nodes[i]))
	}
	return answer, nil
}

// member is a node as etcd has it. Of one that was never met the clients'
// address is not known.
func member(n *kv.NodeStatus) *pb.Member {
	m := &pb.Member{ID: uint64(n.ID), Name: n.Name, PeerURLs: []string{"http://" + n.Peer}}
	if n.Client != "" {
		m.ClientURLs = []string{"http://" + n.Client}
	}
	return m
}
