package etcdapi

import (
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"

	"github.com/miruvor/miruvor/internal/admission"
	"github.com/miruvor/miruvor/internal/grpcserver"
)

// rooms are where calls stand that ask for work. A flood of writes keeps no reads out, nor
// the other way round. The others (leases that are kept alive, watches, what operators ask
// for) cost little, or must go on whatever the load: of those there are only so many.
type rooms struct {
	reads, writes room
	others        crowd
}

// othersMax is more than the watch streams that a node has (package watch), and for each
// of their clients as many streams besides.
const othersMax = 32 << 10

// targetPart of the time that a request may take is spent here at most, when more
// comes in than can be done.
const targetPart = 10

func newRooms(requestTimeout time.Duration) *rooms {
	target := requestTimeout / targetPart
	return &rooms{
		reads:  room{admission.NewRoom(admission.ReadLoads, target, time.Now)},
		writes: room{admission.NewRoom(admission.WriteLoads, target, time.Now)},
	}
}

// of is the room for calls of a method, nil for that of the others.
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
type room struct{ *admission.Room }

var _ grpcserver.Room = (*room)(nil)

// enter takes a call in, of whose message nothing is known yet.
func (r *room) enter() error {
	if !r.Enter(0) {
		return rpctypes.ErrGRPCRequestTooManyRequests
	}
	return nil
}

// Take implements grpcserver.Room.
func (r *room) Take(bytes int) error {
	if !r.Room.Take(bytes) {
		return rpctypes.ErrGRPCRequestTooManyRequests
	}
	return nil
}

// Leave implements grpcserver.Room.
func (r *room) Leave(bytes int, code codes.Code) { r.Room.Leave(bytes, isDone(code)) }

// crowd counts calls, whatever they do.
type crowd struct{ live atomic.Int64 }

var _ grpcserver.Room = (*crowd)(nil)

func (c *crowd) enter() error {
	if c.live.Add(1) > othersMax {
		c.live.Add(-1)
		return rpctypes.ErrGRPCRequestTooManyRequests
	}
	return nil
}

// Take implements grpcserver.Room.
func (c *crowd) Take(int) error { return nil }

// Hold implements grpcserver.Room.
func (c *crowd) Hold(int) {}

// Leave implements grpcserver.Room.
func (c *crowd) Leave(int, codes.Code) { c.live.Add(-1) }

// isDone reports whether a call that ended so was one that the server could do.
func isDone(code codes.Code) bool {
	switch code {
	case codes.ResourceExhausted, codes.Unavailable, codes.DeadlineExceeded, codes.Canceled,
		codes.Internal:
		return false
	}
	return true
}
