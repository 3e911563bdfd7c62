package h2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

const (
	testRange = "/etcdserverpb.KV/Range"
	testPut   = "/etcdserverpb.KV/Put"
	testWatch = "/etcdserverpb.Watch/Watch"
)

// echo answers a Range with limit bytes, a Put with the size of its value.
type echo struct {
	pb.UnimplementedKVServer
	pb.UnimplementedWatchServer
}

func (echo) Range(_ context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	if string(r.Key) == "refused" {
		return nil, status.Error(codes.FailedPrecondition, "no: 100 % ümlaut")
	}
	value := bytes.Repeat([]byte{'v'}, int(r.Limit))
	return &pb.RangeResponse{Kvs: []*mvccpb.KeyValue{{Key: r.Key, Value: value}}}, nil
}

func (echo) Put(_ context.Context, r *pb.PutRequest) (*pb.PutResponse, error) {
	return &pb.PutResponse{Header: &pb.ResponseHeader{Revision: int64(len(r.Value))}}, nil
}

// Watch answers each request with its id.
func (echo) Watch(stream pb.Watch_WatchServer) error {
	for {
		r, err := stream.Recv()
		if err != nil {
			return err
		}
		answer := &pb.WatchResponse{WatchId: r.GetCreateRequest().WatchId}
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
}

// dialGRPC is a connection to a server of google.golang.org/grpc.
func dialGRPC(t *testing.T) *Conn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	pb.RegisterKVServer(server, echo{})
	pb.RegisterWatchServer(server, echo{})
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() { server.Stop(); running.Wait() })
	return dial(t, listener.Addr().String())
}

func dial(t *testing.T, address string) *Conn {
	t.Helper()
	conn, err := Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	serving := make(chan error, 1)
	go func() { serving <- conn.Serve() }()
	t.Cleanup(func() {
		_ = conn.Close()
		<-serving
	})
	return conn
}

// heard is a Call that keeps what it hears.
type heard struct {
	messages chan []byte
	done     chan error
}

func newHeard() *heard {
	return &heard{messages: make(chan []byte, 100), done: make(chan error, 1)}
}

func (h *heard) Message(message []byte) { h.messages <- bytes.Clone(message) }
func (h *heard) Done(err error)         { h.done <- err }

// start begins a call without waiting.
func start(
	t *testing.T, conn *Conn, method string, request proto.Message, last bool,
) (*heard, StreamID) {
	t.Helper()
	message, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	h := newHeard()
	id, err := conn.Start(method, message, last, h)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	return h, id
}

func TestManyCallsAtOnce(t *testing.T) {
	conn := dialGRPC(t)
	var calls []*heard
	for i := range 200 {
		key := fmt.Appendf(nil, "key %d", i)
		if i%2 == 0 {
			h, _ := start(t, conn, testRange, &pb.RangeRequest{Key: key}, true)
			calls = append(calls, h)
		} else {
			h, _ := start(t, conn, testPut, &pb.PutRequest{Key: key, Value: make([]byte, i)}, true)
			calls = append(calls, h)
		}
	}
	for i, h := range calls {
		if err := <-h.done; err != nil {
			t.Fatal(err)
		}
		message := <-h.messages
		if i%2 == 0 {
			var r pb.RangeResponse
			unmarshal(t, message, &r)
			if want := fmt.Sprintf("key %d", i); string(r.Kvs[0].Key) != want {
				t.Errorf("call %d: %q, want %q", i, r.Kvs[0].Key, want)
			}
			continue
		}
		var r pb.PutResponse
		unmarshal(t, message, &r)
		if r.Header.Revision != int64(i) {
			t.Errorf("call %d: %d bytes arrived, want %d", i, r.Header.Revision, i)
		}
	}
}

func unmarshal(t *testing.T, message []byte, to proto.Message) {
	t.Helper()
	if err := proto.Unmarshal(message, to); err != nil {
		t.Fatal(err)
	}
}

// TestAnswersLargerThanWindows needs window updates from here, for the stream and the connection.
func TestAnswersLargerThanWindows(t *testing.T) {
	conn := dialGRPC(t)
	const size = 3*streamWindowBytes + 17
	for range connWindowBytes/size + 1 {
		h, _ := start(t, conn, testRange, &pb.RangeRequest{Key: []byte("k"), Limit: size}, true)
		if err := <-h.done; err != nil {
			t.Fatal(err)
		}
		var r pb.RangeResponse
		unmarshal(t, <-h.messages, &r)
		if len(r.Kvs[0].Value) != size {
			t.Fatalf("%d bytes, want %d", len(r.Kvs[0].Value), size)
		}
	}
}

// TestRequestsLargerThanWindows needs window updates from the server, for as long as it has none.
func TestRequestsLargerThanWindows(t *testing.T) {
	conn := dialGRPC(t)
	var calls []*heard
	const size = http2WindowBytes - 100
	for range 50 {
		h, _ := start(t, conn, testPut, &pb.PutRequest{Value: make([]byte, size)}, true)
		calls = append(calls, h)
	}
	for _, h := range calls {
		if err := <-h.done; err != nil {
			t.Fatal(err)
		}
		var r pb.PutResponse
		unmarshal(t, <-h.messages, &r)
		if r.Header.Revision != size {
			t.Fatalf("%d bytes arrived, want %d", r.Header.Revision, size)
		}
	}
}

func TestFailures(t *testing.T) {
	conn := dialGRPC(t)
	for _, c := range []struct {
		method  string
		code    codes.Code
		message string
	}{
		{testRange, codes.FailedPrecondition, "no: 100 % ümlaut"},
		{"/etcdserverpb.KV/Txn", codes.Unimplemented, "method Txn not implemented"},
		{"/nowhere/Nothing", codes.Unimplemented, "unknown service nowhere"},
	} {
		request := &pb.RangeRequest{}
		if c.method == testRange {
			request.Key = []byte("refused")
		}
		h, _ := start(t, conn, c.method, request, true)
		var failure *Status
		if err := <-h.done; !errors.As(err, &failure) {
			t.Fatalf("%s: %v", c.method, err)
		}
		if failure.Code != int(c.code) || failure.Message != c.message {
			t.Errorf("%s: %v, want %v: %s", c.method, failure, c.code, c.message)
		}
	}
}

func TestStreamOfMessages(t *testing.T) {
	conn := dialGRPC(t)
	create := func(id int64) *pb.WatchRequest {
		return &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{
			CreateRequest: &pb.WatchCreateRequest{WatchId: id},
		}}
	}
	h, id := start(t, conn, testWatch, create(1), false)
	for want := int64(1); want <= 5; want++ {
		var r pb.WatchResponse
		unmarshal(t, <-h.messages, &r)
		if r.WatchId != want {
			t.Fatalf("answer %d, want %d", r.WatchId, want)
		}
		message, err := proto.Marshal(create(want + 1))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(conn.Send(id, message, false), conn.Flush()); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Cancel(id); err != nil {
		t.Fatal(err)
	}
	// The stream says nothing more, and the connection serves others.
	other, _ := start(t, conn, testRange, &pb.RangeRequest{}, true)
	if err := <-other.done; err != nil {
		t.Fatal(err)
	}
	if len(h.done) > 0 {
		t.Errorf("a canceled stream is done: %v", <-h.done)
	}
}

func TestCallsEndWithTheirConnection(t *testing.T) {
	conn := dialGRPC(t)
	create := &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{}}
	h, _ := start(t, conn, testWatch, &pb.WatchRequest{RequestUnion: create}, false)
	<-h.messages
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-h.done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("done with %v", err)
	}
	if _, err := conn.Start(testRange, nil, true, h); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a call after the end: %v", err)
	}
}
