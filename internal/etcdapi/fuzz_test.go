package etcdapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/miruvor/miruvor/internal/grpcserver"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// entrance is a method of the services: a unary one, or a stream.
type entrance struct {
	name   string
	impl   any
	unary  *grpc.MethodDesc
	stream *grpc.StreamDesc
	// output is the message that it answers with.
	output protoreflect.MessageType
}

// entrances is a grpc.ServiceRegistrar that lists all methods.
type entrances []entrance

// RegisterService implements grpc.ServiceRegistrar.
func (list *entrances) RegisterService(desc *grpc.ServiceDesc, impl any) {
	add := func(e entrance, method string) {
		e.name, e.impl = desc.ServiceName+"."+method, impl
		found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(e.name))
		if err != nil {
			panic(err)
		}
		output := found.(protoreflect.MethodDescriptor).Output().FullName()
		if e.output, err = protoregistry.GlobalTypes.FindMessageByName(output); err != nil {
			panic(err)
		}
		*list = append(*list, e)
	}
	for i := range desc.Methods {
		add(entrance{unary: &desc.Methods[i]}, desc.Methods[i].MethodName)
	}
	for i := range desc.Streams {
		add(entrance{stream: &desc.Streams[i]}, desc.Streams[i].StreamName)
	}
}

// listEntrances lists the methods of the services over a store, by name.
func listEntrances(store *kvfake.Store) (*API, entrances) {
	var list entrances
	api := New(Options{Store: store, Maintainer: store, ProgressInterval: time.Second})
	api.Register(&list)
	slices.SortFunc(list, func(a, b entrance) int { return cmp.Compare(a.name, b.name) })
	return api, list
}

// clientPatience is how long a client waits for the answer to a call, and how long it
// listens after the last message that it sent to a stream. The time is virtual.
const clientPatience = 10 * time.Second

// fuzzCall sends the messages to a method. A unary one gets the first.
func fuzzCall(t *testing.T, e *entrance, messages [][]byte) {
	ctx, cancel := context.WithTimeout(t.Context(), clientPatience)
	defer cancel()
	s := &fuzzStream{t: t, ctx: ctx, in: messages, output: e.output}
	err := e.call(s)
	code := status.Code(err)
	own := code == codes.Internal || code == codes.DataLoss ||
		code == codes.Unknown && !e.isRecipe()
	if own && !s.malformed {
		t.Fatalf("%s: %v: %v", e.name, code, err)
	}
}

// isRecipe reports whether etcd refuses with a bare text, which gRPC calls Unknown.
func (e *entrance) isRecipe() bool {
	return strings.HasPrefix(e.name, "v3lockpb.") || strings.HasPrefix(e.name, "v3electionpb.")
}

func (e *entrance) call(s *fuzzStream) error {
	if e.stream != nil {
		return e.stream.Handler(e.impl, s)
	}
	answer, err := e.unary.Handler(e.impl, s.ctx, s.RecvMsg, nil)
	if err == nil {
		err = s.SendMsg(answer)
	}
	return err
}

// fuzzStream is what a method has of its client, who sends some messages and then
// listens on. What is sent to it has to be what etcd's clients decode.
type fuzzStream struct {
	grpc.ServerStream
	t      *testing.T
	ctx    context.Context
	in     [][]byte
	output protoreflect.MessageType
	out    []proto.Message
	// malformed says that a message of the client's was none.
	malformed bool
}

// Context implements grpc.ServerStream.
func (s *fuzzStream) Context() context.Context { return s.ctx }

// RecvMsg implements grpc.ServerStream.
func (s *fuzzStream) RecvMsg(m any) error {
	if len(s.in) == 0 {
		<-s.ctx.Done()
		return io.EOF
	}
	data := s.in[0]
	s.in = s.in[1:]
	err := codec{}.Unmarshal(data, m)
	s.malformed = s.malformed || err != nil
	return err
}

// SendMsg implements grpc.ServerStream.
func (s *fuzzStream) SendMsg(m any) error {
	if batch, ok := m.(*grpcserver.Batch); ok {
		for _, m := range *batch {
			if err := s.SendMsg(m); err != nil {
				return err
			}
		}
		return nil
	}
	data, err := codec{}.Append(nil, m)
	if err != nil {
		s.t.Fatalf("%+v: %v", m, err)
	}
	decoded := s.output.New().Interface()
	if err := proto.Unmarshal(data, decoded); err != nil {
		s.t.Fatalf("%+v is encoded as %x: %v", m, data, err)
	}
	if unknown := decoded.ProtoReflect().GetUnknown(); len(unknown) > 0 {
		s.t.Fatalf("%v has the unknown fields %x", decoded, unknown)
	}
	s.out = append(s.out, decoded)
	return s.ctx.Err()
}

// someStore has a few keys, two leases, an alarm, and a past that is compacted.
func someStore(t *testing.T) *kvfake.Store {
	store := kvfake.New()
	_, grantErr := store.LeaseGrant(t.Context(), kv.LeaseGrantRequest{ID: 7, TTL: 5})
	_, longErr := store.LeaseGrant(t.Context(), kv.LeaseGrantRequest{ID: 8, TTL: 500})
	err := errors.Join(grantErr, longErr)
	for i, key := range []string{"a", "b\x00\xff", "lock/1", "a", "z"} {
		_, putErr := kv.Put(t.Context(), store, kv.PutRequest{
			Key: []byte(key), Value: fmt.Append(nil, i), Lease: kv.LeaseID(7 + i%2),
		})
		err = errors.Join(err, putErr)
	}
	_, deleteErr := kv.Delete(t.Context(), store, kv.DeleteRequest{
		Range: kv.PointRange([]byte("z")),
	})
	_, compactErr := store.Compact(t.Context(), 3)
	_, alarmErr := store.RaiseAlarm(t.Context(), kv.Alarm{Node: 1, Kind: kv.AlarmCorrupt})
	if err := errors.Join(err, deleteErr, compactErr, alarmErr); err != nil {
		t.Fatal(err)
	}
	return store
}

// FuzzCalls sends messages to any method. No method fails for reasons of its own,
// waits for longer than its client does, or leaves anything behind, and its answers
// are messages of etcd's.
func FuzzCalls(f *testing.F) {
	_, all := listEntrances(kvfake.New())
	for i := range all {
		f.Add(uint8(i), []byte(nil), []byte(nil))
	}
	for i, m := range requests() {
		method := map[bool]string{true: "Txn", false: "Range"}[i > 4]
		if _, ok := m.(*pb.PutRequest); ok {
			method = "Put"
		}
		f.Add(number(all, ".KV."+method), encoded(f, m), []byte(nil))
	}
	lock := encoded(f, &v3lockpb.LockRequest{Name: []byte("lock"), Lease: 8})
	f.Add(number(all, "v3lockpb.Lock.Lock"), lock, []byte(nil))
	f.Add(number(all, ".RangeStream"),
		encoded(f, &pb.RangeRequest{Key: []byte("a"), RangeEnd: []byte{0}}), []byte(nil))
	f.Add(number(all, "LeaseKeepAlive"), encoded(f, &pb.LeaseKeepAliveRequest{ID: 7}),
		encoded(f, &pb.LeaseKeepAliveRequest{ID: -7}))
	f.Fuzz(func(t *testing.T, method uint8, first, second []byte) {
		synctest.Test(t, func(t *testing.T) {
			store := someStore(t)
			api, all := listEntrances(store)
			defer api.Drain()
			e := &all[int(method)%len(all)]
			fuzzCall(t, e, [][]byte{first, second})
			// Whatever it did, the store still works.
			fuzzCall(t, &all[number(all, ".KV.Put")], [][]byte{encoded(t, requests()[2])})
		})
	})
}

// number is that of the entrance whose name ends so.
func number(all entrances, suffix string) uint8 {
	i := slices.IndexFunc(all, func(e entrance) bool { return strings.HasSuffix(e.name, suffix) })
	if i < 0 {
		panic(suffix)
	}
	return uint8(i)
}

// FuzzWatchStream sends the requests in data, each a byte of its size before it, to a
// stream of watches, in which something is written after each. No event comes twice, out
// of order, or to a watch that is not there.
func FuzzWatchStream(f *testing.F) {
	f.Add(framed(f,
		&pb.WatchCreateRequest{
			Key: []byte("a"), RangeEnd: []byte{0}, StartRevision: 3, PrevKv: true,
		},
		&pb.WatchCreateRequest{Key: []byte("a"), WatchId: 9, ProgressNotify: true, Fragment: true},
		&pb.WatchProgressRequest{}, &pb.WatchCancelRequest{WatchId: 9},
	))
	f.Add(framed(f,
		&pb.WatchCreateRequest{Key: []byte("z"), StartRevision: 2},
		&pb.WatchCreateRequest{
			RangeEnd: []byte{0}, StartRevision: 99,
			Filters: []pb.WatchCreateRequest_FilterType{pb.WatchCreateRequest_NOPUT},
		},
		&pb.WatchCancelRequest{WatchId: 5},
	))
	f.Add([]byte{0, 2, 10, 0, 1, 7})
	f.Fuzz(func(t *testing.T, data []byte) {
		synctest.Test(t, func(t *testing.T) {
			store := someStore(t)
			api, all := listEntrances(store)
			defer api.Drain()
			ctx, cancel := context.WithTimeout(t.Context(), clientPatience)
			defer cancel()
			s := &writingStream{store: store}
			e := &all[number(all, "Watch.Watch")]
			s.fuzzStream = fuzzStream{t: t, ctx: ctx, in: cutFrames(data), output: e.output}
			err := e.stream.Handler(e.impl, s)
			if status.Code(err) == codes.Unknown && !s.malformed {
				t.Fatal(err)
			}
			checkWatched(t, s.out)
		})
	})
}

// writingStream is a client that, after each request, waits for what comes and then
// has something written.
type writingStream struct {
	fuzzStream
	store *kvfake.Store
}

// RecvMsg implements grpc.ServerStream.
func (s *writingStream) RecvMsg(m any) error {
	<-time.After(time.Second / 4) // of the bubble
	key := []byte("a")
	ops := []kv.Op{
		{Put: &kv.PutRequest{Key: []byte("m"), Value: key}},
		{Delete: &kv.DeleteRequest{Range: kv.PointRange(key)}},
	}
	if len(s.in)%2 == 0 {
		ops[1] = kv.Op{Put: &kv.PutRequest{Key: key, Lease: 7}}
	}
	_, err := s.store.Txn(s.ctx, kv.TxnRequest{Success: ops})
	if err != nil && !errors.Is(err, kv.ErrLeaseNotFound) && s.ctx.Err() == nil {
		s.t.Error(err)
	}
	return s.fuzzStream.RecvMsg(m)
}

// framed are messages as FuzzWatchStream takes them.
func framed(f *testing.F, list ...proto.Message) (data []byte) {
	for _, m := range list {
		req := &pb.WatchRequest{}
		switch m := m.(type) {
		case *pb.WatchCreateRequest:
			req.RequestUnion = &pb.WatchRequest_CreateRequest{CreateRequest: m}
		case *pb.WatchCancelRequest:
			req.RequestUnion = &pb.WatchRequest_CancelRequest{CancelRequest: m}
		case *pb.WatchProgressRequest:
			req.RequestUnion = &pb.WatchRequest_ProgressRequest{ProgressRequest: m}
		}
		raw := encoded(f, req)
		data = append(append(data, byte(len(raw))), raw...)
	}
	return data
}

// framesMax bounds the requests of one input.
const framesMax = 16

func cutFrames(data []byte) (list [][]byte) {
	for len(data) > 0 && len(list) < framesMax {
		n := min(int(data[0]), len(data)-1)
		list = append(list, data[1:1+n])
		data = data[1+n:]
	}
	return list
}

// watched is what a client knows of one of its watches.
type watched struct {
	revision int64
	// keys are those with an event at the revision; in parts, in the middle of it.
	keys map[string]bool
}

// checkWatched holds what a client was told against what it may be told.
func checkWatched(t *testing.T, told []proto.Message) {
	open := map[int64]*watched{}
	for _, m := range told {
		resp := m.(*pb.WatchResponse)
		w := open[resp.WatchId]
		switch {
		case resp.Created && resp.Canceled:
			if resp.WatchId != invalidWatchID || resp.CancelReason == "" {
				t.Fatalf("refused by %v", resp)
			}
		case resp.Created && w != nil:
			t.Fatalf("%v, and is there already", resp)
		case resp.Created:
			open[resp.WatchId] = &watched{keys: map[string]bool{}}
		case w == nil && (resp.WatchId != invalidWatchID || len(resp.Events) > 0):
			t.Fatalf("%v, and there is no such watch", resp)
		case resp.Canceled:
			delete(open, resp.WatchId)
		}
		for _, e := range resp.Events {
			w.event(t, e, resp)
		}
	}
}

func (w *watched) event(t *testing.T, e *mvccpb.Event, resp *pb.WatchResponse) {
	switch rev := e.Kv.ModRevision; {
	case rev > w.revision:
		w.revision, w.keys = rev, map[string]bool{}
	case rev < w.revision || w.keys[string(e.Kv.Key)]:
		t.Fatalf("%v in %v, and revision %d was told", e, resp, w.revision)
	}
	if e.Kv.ModRevision > resp.Header.Revision {
		t.Fatalf("%v is above the header of %v", e, resp)
	}
	w.keys[string(e.Kv.Key)] = true
}
