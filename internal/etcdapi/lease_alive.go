package etcdapi

import (
	"context"
	"errors"
	"io"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/miruvor/miruvor/internal/kv"
)

// LeaseKeepAlive renews leases until the client has no more, each with an answer, in
// the order of the requests: one of time to live 0 if there is no such lease.
//
// A client keeps all of its leases alive on one stream. So renewals go on side by side:
// one after the other, each as long as a round of the log takes under load, the last
// leases would come too late.
func (s *leaseServer) LeaseKeepAlive(stream pb.Lease_LeaseKeepAliveServer) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	r := &renewals{api: s.api, stream: stream, order: make(chan chan renewal, renewalsMax)}
	// It ends once this function returned: gRPC ends Recv then.
	go r.receive(ctx)
	return r.answer()
}

// renewalsMax bounds the renewals under way on a stream.
const renewalsMax = 256

// renewals are those of a stream. One goroutine receives, each renewal has its own, and
// the handler's answers.
type renewals struct {
	api    *API
	stream pb.Lease_LeaseKeepAliveServer
	// order has the outcomes to wait for, in the order of the requests. It is closed
	// after the last, for the reason err.
	order chan chan renewal
	err   error
}

// renewal is what became of one.
type renewal struct {
	answer *pb.LeaseKeepAliveResponse
	err    error
}

// receive begins renewals until the client has no more, or ctx ends.
func (r *renewals) receive(ctx context.Context) {
	var underWay sync.WaitGroup
	defer underWay.Wait()
	defer close(r.order)
	for {
		request, err := r.stream.Recv()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				r.err = err
			}
			return
		}
		outcome := make(chan renewal, 1)
		select {
		case r.order <- outcome:
		case <-ctx.Done():
			r.err = ctx.Err()
			return
		}
		underWay.Go(func() {
			answer, err := r.api.renew(ctx, kv.LeaseID(request.ID))
			outcome <- renewal{answer, err}
		})
	}
}

// answer sends what becomes of the renewals. What keeps one from being made ends the
// stream, so that the client goes to another node.
func (r *renewals) answer() error {
	for outcome := range r.order {
		made := <-outcome
		if made.err != nil {
			return failure(made.err)
		}
		if err := r.stream.Send(made.answer); err != nil {
			return err
		}
	}
	return r.err
}

// renew renews a lease.
func (a *API) renew(ctx context.Context, id kv.LeaseID) (*pb.LeaseKeepAliveResponse, error) {
	lease, err := a.store.LeaseKeepAlive(ctx, id)
	if errors.Is(err, kv.ErrLeaseNotFound) {
		lease = kv.Lease{}
		lease.Revision, err = a.currentRevision(ctx, anyKey)
	}
	if err != nil {
		return nil, err
	}
	return &pb.LeaseKeepAliveResponse{
		Header: a.header(lease.Revision), ID: int64(id), TTL: lease.TTL,
	}, nil
}
