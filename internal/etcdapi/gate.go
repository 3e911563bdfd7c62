package etcdapi

import (
	"context"
	"sync"
	"time"
	"unicode/utf8"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/metadata"

	"github.com/miruvor/miruvor/internal/grpcserver"
	"github.com/miruvor/miruvor/internal/kv"
)

// leaderlessMax is for how many election timeouts a stream whose client needs
// a leader goes on without one.
const leaderlessMax = 3

// gate decides at a request's first frame, when nothing was spent on it,
// whether it comes in. Streams get a context from it, by which it ends them.
type gate struct {
	maint    kv.Maintainer
	rooms    *rooms
	draining context.Context
	// election is about how long it takes to have a leader again.
	election time.Duration

	mu sync.Mutex
	// open are the streams under way. While any needs a leader, timer has
	// them looked after; leaderless is how many times in a row there was none.
	open       map[*openStream]bool
	timer      *time.Timer
	leaderless int
}

// openStream is a stream under way.
type openStream struct {
	end context.CancelCauseFunc
	// needy says that its client needs a leader.
	needy bool
}

func newGate(
	maint kv.Maintainer, rooms *rooms, draining context.Context, election time.Duration,
) *gate {
	g := &gate{
		maint: maint, rooms: rooms, draining: draining, election: election,
		open: map[*openStream]bool{},
	}
	context.AfterFunc(draining, func() { g.endAll(rpctypes.ErrGRPCStopped) })
	return g
}

var _ grpcserver.Gate = (*gate)(nil)

// Admit implements grpcserver.Gate.
func (g *gate) Admit(method string, md metadata.MD) (grpcserver.Room, error) {
	if err := g.check(md); err != nil {
		return nil, err
	}
	room := g.rooms.of(method)
	if room == nil {
		return &g.rooms.others, g.rooms.others.enter()
	}
	return room, room.enter()
}

// check refuses what a request's metadata forbids.
func (g *gate) check(md metadata.MD) error {
	version := md[rpctypes.MetadataClientAPIVersionKey]
	if len(version) > 0 && !utf8.ValidString(version[0]) {
		return rpctypes.ErrGRPCInvalidClientAPIVersion
	}
	if isNeedy(md[rpctypes.MetadataRequireLeaderKey]) && g.maint.Standing().Leader == 0 {
		return rpctypes.ErrGRPCNoLeader
	}
	return nil
}

// isNeedy tells from a header's values whether a client needs a leader.
func isNeedy(values []string) bool {
	return len(values) > 0 && values[0] == rpctypes.MetadataHasLeader
}

// enter gives a stream a context that ends when the server's streams do, or, if
// it needs a leader, when there was none for too long. The caller calls leave.
func (g *gate) enter(ctx context.Context) (_ context.Context, leave func()) {
	ctx, end := context.WithCancelCause(ctx)
	s := &openStream{end: end, needy: isNeedy(
		metadata.ValueFromIncomingContext(ctx, rpctypes.MetadataRequireLeaderKey),
	)}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open[s] = true
	if g.draining.Err() != nil {
		end(rpctypes.ErrGRPCStopped)
	}
	if s.needy && g.timer == nil {
		g.leaderless = 0
		g.timer = time.AfterFunc(g.election, g.look)
	}
	return ctx, func() {
		end(nil)
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.open, s)
	}
}

func (g *gate) endAll(reason error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for s := range g.open {
		s.end(reason)
	}
}

// look counts the times without a leader, and comes again as long as there are
// streams that need one.
func (g *gate) look() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leaderless++
	if g.maint.Standing().Leader != 0 {
		g.leaderless = 0
	}
	needy := false
	for s := range g.open {
		if !s.needy {
			continue
		}
		needy = true
		if g.leaderless >= leaderlessMax {
			s.end(rpctypes.ErrGRPCNoLeader)
		}
	}
	if !needy {
		g.timer = nil
		return
	}
	g.timer.Reset(g.election)
}
