package etcdapi

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/miruvor/miruvor/internal/admission"
	"github.com/miruvor/miruvor/internal/kv"
)

// Options configure New. Store and Maintainer are needed.
type Options struct {
	Store      kv.Store
	Maintainer kv.Maintainer
	// Logger gets what went wrong on the server's side. Nil discards it.
	Logger *slog.Logger
	// Registry is where metrics are registered; nil makes a new one.
	Registry *prometheus.Registry
	// Limits are checked before the store sees a request; zero is
	// kv.DefaultLimits. They should be the store's.
	Limits kv.Limits
	// RequestTimeout bounds what services do of their own accord; 0 is 5 s. The
	// calls of KV and Lease are bounded by the store, at no cost here.
	RequestTimeout time.Duration
	// ElectionTimeout is about how long it takes to have a leader again: streams
	// whose clients need one end after three of them without; 0 is 1 s.
	ElectionTimeout time.Duration
	// ProgressInterval is how often a watch that asked for it is told of
	// progress while nothing happens; 0 is etcd's 10 minutes.
	ProgressInterval time.Duration
}

const (
	requestTimeoutDefault   = 5 * time.Second
	electionTimeoutDefault  = time.Second
	progressIntervalDefault = 10 * time.Minute
)

// API are the services over one store.
type API struct {
	store    kv.Store
	maint    kv.Maintainer
	log      *slog.Logger
	limits   kv.Limits
	timeout  time.Duration
	election time.Duration
	progress time.Duration
	metrics  *metrics
	events   sharedEvents
	rooms    *rooms
	// draining ends with Drain; drain makes it.
	draining context.Context
	drain    context.CancelFunc
}

// New makes the services. They are safe for concurrent use.
func New(opts Options) *API {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Limits == (kv.Limits{}) {
		opts.Limits = kv.DefaultLimits
	}
	if opts.RequestTimeout == 0 {
		opts.RequestTimeout = requestTimeoutDefault
	}
	if opts.ElectionTimeout == 0 {
		opts.ElectionTimeout = electionTimeoutDefault
	}
	if opts.Registry == nil {
		opts.Registry = prometheus.NewRegistry()
	}
	if opts.ProgressInterval == 0 {
		opts.ProgressInterval = progressIntervalDefault
	}
	a := &API{
		store: opts.Store, maint: opts.Maintainer, log: opts.Logger, limits: opts.Limits,
		timeout: opts.RequestTimeout, election: opts.ElectionTimeout,
		progress: max(opts.ProgressInterval, progressIntervalMin),
		metrics:  newMetrics(opts.Registry),
		rooms:    newRooms(opts.RequestTimeout),
	}
	opts.Registry.MustRegister(
		admission.NewCollector("grpc", a.rooms.reads.Room, a.rooms.writes.Room))
	a.draining, a.drain = context.WithCancel(context.Background())
	return a
}

// Register adds all services to a server.
func (a *API) Register(r grpc.ServiceRegistrar) {
	r.RegisterService(kvDescription(), &kvServer{api: a})
	pb.RegisterLeaseServer(r, &leaseServer{api: a})
	pb.RegisterWatchServer(r, &watchServer{api: a})
	pb.RegisterClusterServer(r, &clusterServer{api: a})
	pb.RegisterMaintenanceServer(r, &maintenanceServer{api: a})
	pb.RegisterAuthServer(r, &authServer{api: a})
	v3lockpb.RegisterLockServer(r, &lockServer{api: a})
	v3electionpb.RegisterElectionServer(r, &electionServer{api: a})
	healthpb.RegisterHealthServer(r, &healthServer{api: a})
}

// header is the header of an answer at a revision.
func (a *API) header(rev kv.Revision) *pb.ResponseHeader {
	s := a.maint.Standing()
	return &pb.ResponseHeader{
		ClusterId: uint64(s.Cluster), MemberId: uint64(s.Node),
		Revision: int64(rev), RaftTerm: s.Term,
	}
}
