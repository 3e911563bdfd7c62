package etcdapi

import (
	"bytes"
	"context"
	"errors"

	"go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb"

	"github.com/miruvor/miruvor/internal/kv"
)

// electionServer is etcd's Election service: elections are queues, and who is
// first in one leads. The value of its key is what it proclaims.
type electionServer struct {
	v3electionpb.UnimplementedElectionServer
	api *API
}

// etcd's words.
var (
	errNoLeaderKey       = errors.New(`"leader" field must be provided`)
	errElectionNotLeader = errors.New("election: not leader")
	errElectionNoLeader  = errors.New("election: no leader")
)

// Campaign waits until the client leads, for as long as its lease lives.
func (s *electionServer) Campaign(
	ctx context.Context, r *v3electionpb.CampaignRequest,
) (*v3electionpb.CampaignResponse, error) {
	ctx, release := s.api.patient(ctx)
	defer release()
	p, at, err := s.api.campaign(ctx, queuePrefix(r.Name), r)
	if err != nil {
		return nil, recipeFailure(err)
	}
	return &v3electionpb.CampaignResponse{
		Header: s.api.header(at),
		Leader: &v3electionpb.LeaderKey{
			Name: r.Name, Key: p.key, Rev: int64(p.since), Lease: int64(p.lease),
		},
	}, nil
}

// campaign takes a place in the queue and waits for its turn. If the client does
// not wait for it, the place is given up.
func (a *API) campaign(
	ctx context.Context, prefix []byte, r *v3electionpb.CampaignRequest,
) (p place, at kv.Revision, err error) {
	lease, err := a.leaseOf(ctx, r.Lease)
	if err != nil {
		return p, 0, err
	}
	p, found, at, err := a.enqueue(ctx, prefix, lease, r.Value)
	if err != nil {
		return p, 0, err
	}
	if found != nil && !bytes.Equal(found.Value, r.Value) {
		_, err = a.proclaim(ctx, p, r.Value)
	}
	if err == nil {
		_, err = a.waitTurn(ctx, prefix, p)
	}
	if err != nil {
		// If that fails as well, the place goes with its lease.
		_, _ = a.leave(ctx, p)
	}
	return p, at, err
}

// proclaim sets the value of a place that is still there.
func (a *API) proclaim(ctx context.Context, p place, value []byte) (kv.Revision, error) {
	resp, err := a.whileHeld(ctx, p,
		kv.Op{Put: &kv.PutRequest{Key: p.key, Value: value, Lease: p.lease}})
	if err == nil && !resp.Succeeded {
		err = errElectionNotLeader
	}
	return resp.Revision, err
}

// Proclaim changes what the client proclaims, without another election.
func (s *electionServer) Proclaim(
	ctx context.Context, r *v3electionpb.ProclaimRequest,
) (*v3electionpb.ProclaimResponse, error) {
	if r.Leader == nil {
		return nil, recipeFailure(errNoLeaderKey)
	}
	p := placeOf(r.Leader)
	lease, err := s.api.leaseOf(ctx, r.Leader.Lease)
	if err != nil {
		return nil, recipeFailure(err)
	}
	p.lease = lease
	at, err := s.api.proclaim(ctx, p, r.Value)
	if err != nil {
		return nil, recipeFailure(err)
	}
	return &v3electionpb.ProclaimResponse{Header: s.api.header(at)}, nil
}

func placeOf(leader *v3electionpb.LeaderKey) place {
	return place{
		key: leader.Key, lease: kv.LeaseID(leader.Lease), since: kv.Revision(leader.Rev),
	}
}

// Resign gives the leadership up, if the client still has it.
func (s *electionServer) Resign(
	ctx context.Context, r *v3electionpb.ResignRequest,
) (*v3electionpb.ResignResponse, error) {
	if r.Leader == nil {
		return nil, recipeFailure(errNoLeaderKey)
	}
	resp, err := s.api.leave(ctx, placeOf(r.Leader))
	if err != nil {
		return nil, recipeFailure(err)
	}
	return &v3electionpb.ResignResponse{Header: s.api.header(resp.Revision)}, nil
}

// Leader tells who leads.
func (s *electionServer) Leader(
	ctx context.Context, r *v3electionpb.LeaderRequest,
) (*v3electionpb.LeaderResponse, error) {
	leader, at, err := s.api.leader(ctx, queuePrefix(r.Name))
	if err == nil && leader == nil {
		err = errElectionNoLeader
	}
	if err != nil {
		return nil, recipeFailure(err)
	}
	return &v3electionpb.LeaderResponse{Header: s.api.header(at), Kv: keyValue(leader)}, nil
}

// leader is who is first in a queue at a revision, nil if nobody is.
func (a *API) leader(
	ctx context.Context, prefix []byte,
) (first *kv.KeyValue, at kv.Revision, err error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	resp, err := a.read(ctx, &kv.RangeRequest{Range: kv.PrefixRange(prefix)})
	for i := range resp.KVs {
		if first == nil || resp.KVs[i].CreateRevision < first.CreateRevision {
			first = &resp.KVs[i]
		}
	}
	return first, resp.Revision, err
}
