// Package etcdstore is a kv.Store whose answers come from an etcd, so that
// the conformance suite of kv.Store can be run against etcd itself.
//
// It translates and does not judge: what is wrong with a request is for etcd
// to say. A few things that kv.Store has and etcd has not are made here, from
// what etcd answers:
//
//   - PutResponse.Version is read back at the put's revision;
//   - RangeRequest.BytesMax cuts the answer, and without WantCount its count
//     is left out;
//   - WatchStream.Progress is asked again until etcd answers, which it does
//     only if it happens to have delivered everything.
package etcdstore

import (
	"bytes"
	"context"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/miruvor/miruvor/internal/kv"
)

// Store speaks to an etcd over the connection of a clientv3.Client, in etcd's
// own messages.
type Store struct {
	kv          pb.KVClient
	watch       pb.WatchClient
	lease       pb.LeaseClient
	maintenance pb.MaintenanceClient
}

var _ kv.Store = (*Store)(nil)

// New is a store over client, which stays the caller's to close.
func New(client *clientv3.Client) *Store {
	conn := client.ActiveConnection()
	return &Store{
		kv:          pb.NewKVClient(conn),
		watch:       pb.NewWatchClient(conn),
		lease:       pb.NewLeaseClient(conn),
		maintenance: pb.NewMaintenanceClient(conn),
	}
}

// Range implements kv.Store.
func (s *Store) Range(ctx context.Context, req kv.RangeRequest) (kv.RangeResponse, error) {
	resp, err := s.kv.Range(ctx, rangeRequest(&req))
	if err != nil {
		return kv.RangeResponse{}, failure(err)
	}
	return rangeResponse(&req, resp), nil
}

// Txn implements kv.Store.
func (s *Store) Txn(ctx context.Context, req kv.TxnRequest) (kv.TxnResponse, error) {
	resp, err := s.kv.Txn(ctx, txnRequest(&req))
	if err != nil {
		return kv.TxnResponse{}, failure(err)
	}
	answer := txnResponse(&req, resp)
	return answer, s.readVersions(ctx, &req, &answer)
}

// readVersions fills in the versions that the puts of a transaction made.
func (s *Store) readVersions(
	ctx context.Context, req *kv.TxnRequest, resp *kv.TxnResponse,
) error {
	made := putsOf(req, resp)
	if len(made) == 0 {
		return nil
	}
	first := slices.MinFunc(made, func(a, b put) int { return bytes.Compare(a.key, b.key) })
	last := slices.MaxFunc(made, func(a, b put) int { return bytes.Compare(a.key, b.key) })
	found, err := s.kv.Range(ctx, &pb.RangeRequest{
		Key:            first.key,
		RangeEnd:       append(bytes.Clone(last.key), 0),
		Revision:       int64(resp.Revision),
		MinModRevision: int64(resp.Revision),
	})
	if err != nil {
		return failure(err)
	}
	versions := map[string]int64{}
	for _, pair := range found.Kvs {
		versions[string(pair.Key)] = pair.Version
	}
	for _, p := range made {
		p.answer.Version = versions[string(p.key)]
	}
	return nil
}

// put is a put that ran.
type put struct {
	key    []byte
	answer *kv.PutResponse
}

func putsOf(req *kv.TxnRequest, resp *kv.TxnResponse) []put {
	var made []put
	for i, op := range taken(req, resp.Succeeded) {
		switch result := resp.Results[i]; {
		case op.Put != nil:
			made = append(made, put{op.Put.Key, result.Put})
		case op.Txn != nil:
			made = append(made, putsOf(op.Txn, result.Txn)...)
		}
	}
	return made
}

func taken(req *kv.TxnRequest, succeeded bool) []kv.Op {
	if succeeded {
		return req.Success
	}
	return req.Failure
}

// Compact implements kv.Store.
func (s *Store) Compact(ctx context.Context, rev kv.Revision) (kv.Revision, error) {
	resp, err := s.kv.Compact(ctx, &pb.CompactionRequest{Revision: int64(rev), Physical: true})
	if err != nil {
		return 0, failure(err)
	}
	return kv.Revision(resp.Header.Revision), nil
}

// Status implements kv.Store. An etcd has one shard.
func (s *Store) Status(ctx context.Context) (kv.Status, error) {
	resp, err := s.maintenance.Status(ctx, &pb.StatusRequest{})
	if err != nil {
		return kv.Status{}, failure(err)
	}
	at := kv.Revision(resp.Header.Revision)
	return kv.Status{
		Cluster:  kv.ClusterID(resp.Header.ClusterId),
		Node:     kv.NodeID(resp.Header.MemberId),
		Version:  resp.Version,
		Revision: at,
		Ready:    true,
		Shards: []kv.ShardStatus{{
			ID: 1, Leader: kv.NodeID(resp.Leader), Term: resp.RaftTerm, Commit: resp.RaftIndex,
			Applied: resp.RaftAppliedIndex, Revision: at,
		}},
	}, nil
}
