package etcdapi

import (
	"context"

	"go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb"
	"google.golang.org/grpc"

	"github.com/miruvor/miruvor/internal/kv"
)

// Observe tells who leads and what it proclaims, from now on. It may leave out
// what was not for long, but never the last.
func (s *electionServer) Observe(
	r *v3electionpb.LeaderRequest, stream grpc.ServerStreamingServer[v3electionpb.LeaderResponse],
) error {
	o := observer{api: s.api, prefix: queuePrefix(r.Name), stream: stream}
	for {
		if err := o.observeLeader(stream.Context()); err != nil {
			return recipeFailure(err)
		}
	}
}

// observer is a client that observes an election.
type observer struct {
	api    *API
	prefix []byte
	stream grpc.ServerStreamingServer[v3electionpb.LeaderResponse]
}

// observeLeader waits until somebody leads and tells what it proclaims, until it
// leads no more or what happened since is compacted.
func (o *observer) observeLeader(ctx context.Context) error {
	leader, at, err := o.api.leader(ctx, o.prefix)
	if err != nil {
		return err
	}
	if leader == nil {
		return o.awaitCandidate(ctx, at)
	}
	if err := o.tell(leader, at); err != nil {
		return err
	}
	return o.api.follow(ctx, kv.WatchRequest{Range: kv.PointRange(leader.Key), From: at + 1},
		func(resp kv.WatchResponse) (done bool, err error) {
			for i := range resp.Events {
				if resp.Events[i].Deleted {
					return true, nil
				}
				if err := o.tell(&resp.Events[i].KV, resp.Revision); err != nil {
					return true, err
				}
			}
			return false, nil
		})
}

// awaitCandidate waits until somebody stands for election; nobody did at a
// revision.
func (o *observer) awaitCandidate(ctx context.Context, at kv.Revision) error {
	return o.api.follow(ctx, kv.WatchRequest{
		Range: kv.PrefixRange(o.prefix), From: at + 1, NoDelete: true,
	}, func(kv.WatchResponse) (done bool, err error) { return true, nil })
}

func (o *observer) tell(leader *kv.KeyValue, at kv.Revision) error {
	return o.stream.Send(&v3electionpb.LeaderResponse{
		Header: o.api.header(at), Kv: keyValue(leader),
	})
}
