package etcdapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/miruvor/miruvor/internal/etcdapi"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// TestUpkeepStories is what operators ask of a cluster, and TestQueueStories
// are locks and elections. A call with an as runs by itself under that name;
// "told NAME" is what it got so far, in virtual time.
func TestUpkeepStories(t *testing.T) { walkCalls(t, "testdata/upkeep") }

// TestQueueStories: see TestUpkeepStories.
func TestQueueStories(t *testing.T) { walkCalls(t, "testdata/queues") }

func walkCalls(t *testing.T, dir string) {
	datadriven.Walk(t, dir, func(t *testing.T, path string) {
		synctest.Test(t, func(t *testing.T) {
			s := newCallStory(t)
			datadriven.RunTest(t, path, s.run)
		})
	})
}

// moody is a store that may be in another state than the fake it is.
type moody struct {
	*kvfake.Store
	mu       sync.Mutex
	unready  bool
	storage  kv.StorageStatus
	nodes    []kv.NodeStatus
	shards   []kv.ShardStatus
	watching int
}

// Status implements kv.Store.
func (m *moody) Status(ctx context.Context) (kv.Status, error) {
	status, err := m.Store.Status(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	status.Ready, status.Storage = !m.unready, m.storage
	status.Nodes, status.Shards = m.nodes, m.shards
	return status, err
}

// Watch implements kv.Store. It counts the streams that are not closed.
func (m *moody) Watch(ctx context.Context) (kv.WatchStream, error) {
	stream, err := m.Store.Watch(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watching++
	return &countedStream{stream, m}, err
}

type countedStream struct {
	kv.WatchStream
	store *moody
}

// Close implements kv.WatchStream.
func (s *countedStream) Close() {
	s.WatchStream.Close()
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	s.store.watching--
}

// callStory is clients that call services, some of which wait.
type callStory struct {
	story
	store   *moody
	api     *etcdapi.API
	methods map[string]method
	calls   map[string]*pendingCall
}

// method makes a call with a request in text, and hands over each answer.
type method func(ctx context.Context, text string, tell func(string))

// pendingCall is a call under way, or one that ended.
type pendingCall struct {
	cancel context.CancelFunc
	mu     sync.Mutex
	told   strings.Builder
	ended  bool
}

func newCallStory(t *testing.T) *callStory {
	s := &callStory{
		story: story{clock: time.Now()},
		store: &moody{
			Store: kvfake.New(),
			nodes: []kv.NodeStatus{
				{ID: 1, Name: "n1", Peer: "10.0.0.1:2380", Client: "10.0.0.1:2379"},
				{ID: 2, Name: "n2", Peer: "10.0.0.2:2380"},
			},
			shards: []kv.ShardStatus{
				{ID: 0, Leader: 1, Commit: 7, Applied: 7},
				{ID: 1, Leader: 2, Commit: 5, Applied: 4},
			},
			storage: kv.StorageStatus{Bytes: 300, InUseBytes: 200, QuotaBytes: 1000},
		},
		calls: map[string]*pendingCall{},
	}
	s.api = etcdapi.New(etcdapi.Options{Store: s.store, Maintainer: s.store})
	conn := connect(t, s.api.NewServer(etcdapi.ServerOptions{}))
	s.connect(conn)
	s.methods = methods(conn)
	t.Cleanup(func() {
		for _, call := range s.calls {
			call.cancel()
		}
		synctest.Wait()
	})
	return s
}

func methods(conn *grpc.ClientConn) map[string]method {
	cluster, maintenance := pb.NewClusterClient(conn), pb.NewMaintenanceClient(conn)
	auth, lock := pb.NewAuthClient(conn), v3lockpb.NewLockClient(conn)
	election, health := v3electionpb.NewElectionClient(conn), healthpb.NewHealthClient(conn)
	return map[string]method{
		"member-list":     unary(&pb.MemberListRequest{}, cluster.MemberList),
		"member-add":      unary(&pb.MemberAddRequest{}, cluster.MemberAdd),
		"status":          unary(&pb.StatusRequest{}, maintenance.Status),
		"alarm":           unary(&pb.AlarmRequest{}, maintenance.Alarm),
		"defragment":      unary(&pb.DefragmentRequest{}, maintenance.Defragment),
		"hash":            unary(&pb.HashRequest{}, maintenance.Hash),
		"hash-kv":         unary(&pb.HashKVRequest{}, maintenance.HashKV),
		"move-leader":     unary(&pb.MoveLeaderRequest{}, maintenance.MoveLeader),
		"downgrade":       unary(&pb.DowngradeRequest{}, maintenance.Downgrade),
		"auth-status":     unary(&pb.AuthStatusRequest{}, auth.AuthStatus),
		"authenticate":    unary(&pb.AuthenticateRequest{}, auth.Authenticate),
		"user-add":        unary(&pb.AuthUserAddRequest{}, auth.UserAdd),
		"role-list":       unary(&pb.AuthRoleListRequest{}, auth.RoleList),
		"lock":            unary(&v3lockpb.LockRequest{}, lock.Lock),
		"unlock":          unary(&v3lockpb.UnlockRequest{}, lock.Unlock),
		"campaign":        unary(&v3electionpb.CampaignRequest{}, election.Campaign),
		"proclaim":        unary(&v3electionpb.ProclaimRequest{}, election.Proclaim),
		"resign":          unary(&v3electionpb.ResignRequest{}, election.Resign),
		"leader":          unary(&v3electionpb.LeaderRequest{}, election.Leader),
		"observe":         streamed(&v3electionpb.LeaderRequest{}, election.Observe),
		"health":          unary(&healthpb.HealthCheckRequest{}, health.Check),
		"health-of-all":   unary(&healthpb.HealthListRequest{}, health.List),
		"watch-of-health": streamed(&healthpb.HealthCheckRequest{}, health.Watch),
	}
}

func unary[Req, Resp proto.Message](
	like Req, call func(context.Context, Req, ...grpc.CallOption) (Resp, error),
) method {
	return func(ctx context.Context, text string, tell func(string)) {
		req, err := parsed(like, text)
		if err != nil {
			tell(err.Error())
			return
		}
		answer, err := call(ctx, req)
		tell(told(answer, err))
	}
}

func streamed[Req proto.Message, Resp any](
	like Req, call func(context.Context, Req, ...grpc.CallOption) (
		grpc.ServerStreamingClient[Resp], error),
) method {
	return func(ctx context.Context, text string, tell func(string)) {
		req, err := parsed(like, text)
		if err != nil {
			tell(err.Error())
			return
		}
		stream, err := call(ctx, req)
		for err == nil {
			var answer *Resp
			if answer, err = stream.Recv(); err == nil {
				tell(told(any(answer).(proto.Message), nil))
			}
		}
		if !errors.Is(err, io.EOF) {
			tell(told(nil, err))
		}
	}
}

// parsed is a message of the type of like.
func parsed[M proto.Message](like M, text string) (M, error) {
	message := proto.Clone(like).(M)
	return message, prototext.Unmarshal([]byte(text), message)
}

func (s *callStory) run(t *testing.T, d *datadriven.TestData) string {
	defer synctest.Wait()
	if call, ok := s.methods[d.Cmd]; ok {
		return s.call(t, d, call)
	}
	switch d.Cmd {
	case "told":
		synctest.Wait()
		return s.of(t, d).take()
	case "cancel":
		s.of(t, d).cancel()
	case "sleep":
		var seconds int
		d.ScanArgs(t, "seconds", &seconds)
		<-time.After(time.Duration(seconds) * time.Second)
	case "unready", "ready":
		s.store.mu.Lock()
		defer s.store.mu.Unlock()
		s.store.unready = d.Cmd == "unready"
	case "leader-is":
		var node uint64
		d.ScanArgs(t, "node", &node)
		standing := s.store.Standing()
		standing.Leader = kv.NodeID(node)
		s.store.Stand(standing)
	case "drain":
		s.api.Drain()
	case "watches":
		s.store.mu.Lock()
		defer s.store.mu.Unlock()
		return fmt.Sprintln(s.store.watching)
	default:
		return s.story.run(t, d)
	}
	return ""
}

// call makes a call and waits for it, or with an as not.
func (s *callStory) call(t *testing.T, d *datadriven.TestData, make method) string {
	ctx, cancel := context.WithCancel(t.Context())
	pending := &pendingCall{cancel: cancel}
	go func() {
		defer pending.end()
		make(ctx, d.Input, pending.tell)
	}()
	synctest.Wait()
	if !d.HasArg("as") {
		defer cancel()
		return pending.take()
	}
	var name string
	d.ScanArgs(t, "as", &name)
	s.calls[name] = pending
	return pending.take()
}

func (s *callStory) of(t *testing.T, d *datadriven.TestData) *pendingCall {
	call, ok := s.calls[d.CmdArgs[0].Key]
	if !ok {
		d.Fatalf(t, "nobody is called %s", d.CmdArgs[0].Key)
	}
	return call
}

func (c *pendingCall) tell(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told.WriteString(text)
}

func (c *pendingCall) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
}

// take is what was told since the last time, and whether more may come.
func (c *pendingCall) take() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := c.told.String()
	c.told.Reset()
	if !c.ended {
		text += "waits\n"
	}
	return text
}
