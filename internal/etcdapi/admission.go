package etcdapi

import (
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"

	"github.com/miruvor/miruvor/internal/admission"
	"github.com/miruvor/miruvor/internal/grpcserver"
)

// rooms are where calls stand that ask for work. The others (leases that are kept
// alive, watches, what operators ask for) cost little, or must go on whatever the load,
// and stand in none. A flood of writes keeps no reads out, nor the other way round.
type rooms struct{ reads, writes room }

// targetPart of the time that a request may take is spent here at most, when more
// comes in than can be done.
const targetPart = 10

func newRooms(requestTimeout time.Duration) *rooms {
	target := requestTimeout / targetPart
	return &rooms{
		reads:  room{admission.New(target, time.Now)},
		writes: room{admission.New(target, time.Now)},
	}
}

// of is the room for calls of a method, nil for none.
func (r *rooms) of(method string) *room {
	switch method {
	case "/etcdserverpb.KV/Range":
		return &r.reads
	case "/etcdserverpb.KV/Put", "/etcdserverpb.KV/DeleteRange", "/etcdserverpb.KV/Txn",
		"/etcdserverpb.Lease/LeaseGrant":
		return &r.writes
	}
	return nil
}

// room bounds calls that are under way.
type room struct{ limiter *admission.Limiter }

var _ grpcserver.Room = (*room)(nil)

// enter takes a call in.
func (r *room) enter() error {
	if !r.limiter.Take(1) {
		return rpctypes.ErrGRPCRequestTooManyRequests
	}
	return nil
}

// Take implements grpcserver.Room.
func (r *room) Take(bytes int) (units int, err error) {
	n := admission.UnitsOf(bytes)
	if n > 0 && !r.limiter.Take(n) {
		return 0, rpctypes.ErrGRPCRequestTooManyRequests
	}
	return int(n), nil
}

// Hold implements grpcserver.Room.
func (r *room) Hold(bytes int) (units int) {
	n := admission.UnitsOf(bytes)
	if n > 0 {
		r.limiter.Hold(n)
	}
	return int(n)
}

// Leave implements grpcserver.Room.
func (r *room) Leave(units int, code codes.Code) {
	r.limiter.Leave(admission.Units(1+units), isDone(code))
}

// isDone reports whether a call that ended so was one that the server could do.
func isDone(code codes.Code) bool {
	switch code {
	case codes.ResourceExhausted, codes.Unavailable, codes.DeadlineExceeded, codes.Canceled,
		codes.Internal:
		return false
	}
	return true
}
