package grpcserver_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/miruvor/miruvor/internal/grpcserver"
)

// echoer is a service that answers what it is told.
type echoer interface {
	echo(ctx context.Context, in *wrapperspb.BytesValue) (*wrapperspb.BytesValue, error)
	chat(stream grpc.ServerStream) error
}

type echo struct {
	unary func(ctx context.Context, in *wrapperspb.BytesValue) (*wrapperspb.BytesValue, error)
	bidi  func(stream grpc.ServerStream) error
}

func (e *echo) echo(
	ctx context.Context, in *wrapperspb.BytesValue,
) (*wrapperspb.BytesValue, error) {
	if e.unary != nil {
		return e.unary(ctx, in)
	}
	return in, nil
}

func (e *echo) chat(stream grpc.ServerStream) error {
	if e.bidi != nil {
		return e.bidi(stream)
	}
	for {
		in := new(wrapperspb.BytesValue)
		switch err := stream.RecvMsg(in); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := stream.SendMsg(in); err != nil {
			return err
		}
	}
}

var echoDesc = grpc.ServiceDesc{
	ServiceName: "test.Echo",
	HandlerType: (*echoer)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Echo",
		Handler: func(
			srv any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor,
		) (any, error) {
			in := new(wrapperspb.BytesValue)
			if err := decode(in); err != nil {
				return nil, err
			}
			return srv.(echoer).echo(ctx, in)
		},
	}},
	Streams: []grpc.StreamDesc{{
		StreamName: "Chat", ServerStreams: true, ClientStreams: true,
		Handler: func(srv any, stream grpc.ServerStream) error { return srv.(echoer).chat(stream) },
	}},
}

// start serves e and returns a connection of gRPC's own client to it.
func start(
	t testing.TB, e *echo, opts grpcserver.Options, dial ...grpc.DialOption,
) (*grpcserver.Server, *grpc.ClientConn) {
	t.Helper()
	s := grpcserver.New(opts)
	s.RegisterService(&echoDesc, e)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := s.Serve(l); err != nil {
			t.Error(err)
		}
	})
	dial = append(dial, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	cc, err := grpc.NewClient(l.Addr().String(), dial...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cc.Close()
		s.Stop()
		serving.Wait()
	})
	return s, cc
}

func call(
	ctx context.Context, cc *grpc.ClientConn, in []byte, opts ...grpc.CallOption,
) ([]byte, error) {
	out := new(wrapperspb.BytesValue)
	err := cc.Invoke(ctx, "/test.Echo/Echo", wrapperspb.Bytes(in), out, opts...)
	return out.Value, err
}

func chat(t testing.TB, ctx context.Context, cc *grpc.ClientConn) grpc.ClientStream {
	t.Helper()
	stream, err := cc.NewStream(ctx, &echoDesc.Streams[0], "/test.Echo/Chat")
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func TestUnaryOfAllSizes(t *testing.T) {
	_, cc := start(t, &echo{}, grpcserver.Options{MessageBytesMax: 20 << 20})
	for _, size := range []int{0, 1, 1000, 16 << 10, 16<<10 + 1, 1 << 20, 17 << 20} {
		in := bytes.Repeat([]byte{byte(size)}, size)
		if out, err := call(t.Context(), cc, in); err != nil || !bytes.Equal(out, in) {
			t.Errorf("%d bytes: %d came back, %v", size, len(out), err)
		}
		out, err := call(t.Context(), cc, in, grpc.UseCompressor(gzip.Name))
		if err != nil || !bytes.Equal(out, in) {
			t.Errorf("%d bytes compressed: %d came back, %v", size, len(out), err)
		}
	}
}

func TestManyCallsAtOnce(t *testing.T) {
	_, cc := start(t, &echo{}, grpcserver.Options{})
	var calls sync.WaitGroup
	for i := range 64 {
		calls.Go(func() {
			for n := range 200 {
				in := bytes.Repeat(fmt.Appendf(nil, "%d-%d/", i, n), n*10)
				if out, err := call(t.Context(), cc, in); err != nil || !bytes.Equal(out, in) {
					t.Errorf("call %d-%d: %d bytes, %v", i, n, len(out), err)
					return
				}
			}
		})
	}
	calls.Wait()
}

func TestTooLarge(t *testing.T) {
	_, cc := start(t, &echo{}, grpcserver.Options{MessageBytesMax: 1000})
	for _, opts := range [][]grpc.CallOption{nil, {grpc.UseCompressor(gzip.Name)}} {
		_, err := call(t.Context(), cc, make([]byte, 5<<20), opts...)
		if status.Code(err) != codes.ResourceExhausted {
			t.Errorf("with %v: %v", opts, err)
		}
	}
	stream := chat(t, t.Context(), cc)
	_ = stream.SendMsg(wrapperspb.Bytes(make([]byte, 1001)))
	err := stream.RecvMsg(new(wrapperspb.BytesValue))
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("on a stream: %v", err)
	}
	if _, err := call(t.Context(), cc, make([]byte, 900)); err != nil {
		t.Errorf("after them: %v", err)
	}
}

func TestErrors(t *testing.T) {
	text := "100% wrong: ünïcode\n"
	withDetails, err := status.New(codes.NotFound, text).WithDetails(wrapperspb.String("detail"))
	if err != nil {
		t.Fatal(err)
	}
	answers := map[string]error{
		"status": withDetails.Err(), "plain": errors.New("plain"),
		"canceled": context.Canceled,
	}
	e := &echo{unary: func(_ context.Context, in *wrapperspb.BytesValue) (
		*wrapperspb.BytesValue, error,
	) {
		return nil, answers[string(in.Value)]
	}}
	_, cc := start(t, e, grpcserver.Options{})
	for name, want := range map[string]codes.Code{
		"status": codes.NotFound, "plain": codes.Unknown, "canceled": codes.Canceled,
	} {
		_, err := call(t.Context(), cc, []byte(name))
		st := status.Convert(err)
		if st.Code() != want {
			t.Errorf("%s: %v", name, err)
		}
		if name == "status" && (st.Message() != text || len(st.Details()) != 1) {
			t.Errorf("the status came as %q with %v", st.Message(), st.Details())
		}
	}
	for path, text := range map[string]string{
		"/test.Echo/Nothing": "unknown method Nothing", "/nothing/Echo": "unknown service nothing",
		"/nothing": "malformed method name",
	} {
		err := cc.Invoke(t.Context(), path, wrapperspb.Bytes(nil), new(wrapperspb.BytesValue))
		if status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestDeadlinesAndCancels(t *testing.T) {
	ended := make(chan error, 1)
	e := &echo{
		unary: func(ctx context.Context, in *wrapperspb.BytesValue) (
			*wrapperspb.BytesValue, error,
		) {
			_, ok := ctx.Deadline()
			if ok != (string(in.Value) == "deadline") {
				t.Errorf("%s: has a deadline: %v", in.Value, ok)
			}
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		},
		bidi: func(stream grpc.ServerStream) error {
			err := stream.RecvMsg(new(wrapperspb.BytesValue))
			ended <- stream.Context().Err()
			return err
		},
	}
	_, cc := start(t, e, grpcserver.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := call(ctx, cc, []byte("deadline")); status.Code(err) != codes.DeadlineExceeded {
		t.Error(err)
	}
	<-ended // canceled or expired: the client's reset may be first
	for _, begin := range []func(ctx context.Context){
		func(ctx context.Context) { _, _ = call(ctx, cc, []byte("cancel")) },
		func(ctx context.Context) { chat(t, ctx, cc) },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		var calling sync.WaitGroup
		calling.Go(func() { begin(ctx) })
		select {
		case err := <-ended:
			t.Errorf("ended before it was canceled: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
		calling.Wait()
	}
}

func TestMetadata(t *testing.T) {
	e := &echo{
		unary: func(ctx context.Context, _ *wrapperspb.BytesValue) (
			*wrapperspb.BytesValue, error,
		) {
			md, _ := metadata.FromIncomingContext(ctx)
			return wrapperspb.Bytes(fmt.Appendf(nil, "%q %q", md["key"], md["raw-bin"])), nil
		},
		bidi: func(stream grpc.ServerStream) error {
			_ = stream.SetHeader(metadata.Pairs("a", "1", "b-bin", "\x00\xff"))
			if err := stream.SendHeader(nil); err != nil {
				return err
			}
			if err := stream.SetHeader(metadata.Pairs("late", "1")); err == nil {
				t.Error("a header was set after it was sent")
			}
			stream.SetTrailer(metadata.Pairs("t", "2"))
			return nil
		},
	}
	_, cc := start(t, e, grpcserver.Options{})
	for i := range 3 {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "key", fmt.Sprint(i), "key", "x",
			"raw-bin", "\x00\x01")
		for range 2 {
			out, err := call(ctx, cc, nil)
			if want := fmt.Sprintf("[\"%d\" \"x\"] [\"\\x00\\x01\"]", i); string(out) != want {
				t.Errorf("metadata came as %s, want %s, %v", out, want, err)
			}
		}
	}
	if out, err := call(t.Context(), cc, nil); string(out) != "[] []" {
		t.Errorf("metadata of nobody: %s, %v", out, err)
	}
	stream := chat(t, t.Context(), cc)
	if err := stream.RecvMsg(new(wrapperspb.BytesValue)); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	header, err := stream.Header()
	trailer := stream.Trailer()
	if err != nil || header.Get("b-bin")[0] != "\x00\xff" || trailer.Get("t")[0] != "2" {
		t.Errorf("header %v, trailer %v, %v", header, trailer, err)
	}
}

// TestStreamsAreBounded sends to a handler that does not read: the client must be
// stopped by its window, and nothing may be lost.
func TestStreamsAreBounded(t *testing.T) {
	goOn := make(chan struct{})
	count := make(chan int, 1)
	e := &echo{bidi: func(stream grpc.ServerStream) error {
		<-goOn
		n := 0
		for {
			in := new(wrapperspb.BytesValue)
			if err := stream.RecvMsg(in); err != nil {
				count <- n
				return nil
			}
			if len(in.Value) != 100<<10 {
				t.Errorf("message %d is %d bytes", n, len(in.Value))
			}
			n++
		}
	}}
	_, cc := start(t, e, grpcserver.Options{})
	stream := chat(t, t.Context(), cc)
	const messages = 100
	sent := make(chan struct{}, messages)
	var sending sync.WaitGroup
	sending.Go(func() {
		for range messages {
			if err := stream.SendMsg(wrapperspb.Bytes(make([]byte, 100<<10))); err != nil {
				t.Error(err)
			}
			sent <- struct{}{}
		}
		_ = stream.CloseSend()
	})
	if _, err := call(t.Context(), cc, make([]byte, 3<<20)); err != nil {
		t.Errorf("a call beside a stream that is full: %v", err)
	}
	if n := len(sent); n > 20 {
		t.Errorf("%d messages were taken from the client although nobody reads them", n)
	}
	close(goOn)
	if n := <-count; n != messages {
		t.Errorf("%d messages arrived of %d", n, messages)
	}
	sending.Wait()
}

// TestSlowClients has a handler send to a client that does not read: it must wait,
// and other calls go on.
func TestSlowClients(t *testing.T) {
	const messages = 200
	e := &echo{bidi: func(stream grpc.ServerStream) error {
		for range messages {
			if err := stream.SendMsg(wrapperspb.Bytes(make([]byte, 100<<10))); err != nil {
				return err
			}
		}
		return nil
	}}
	_, cc := start(t, e, grpcserver.Options{},
		grpc.WithInitialWindowSize(64<<10), grpc.WithInitialConnWindowSize(1<<20))
	stream := chat(t, t.Context(), cc)
	for range 50 {
		if _, err := call(t.Context(), cc, make([]byte, 50<<10)); err != nil {
			t.Fatal(err)
		}
	}
	for n := range messages {
		in := new(wrapperspb.BytesValue)
		if err := stream.RecvMsg(in); err != nil || len(in.Value) != 100<<10 {
			t.Fatalf("message %d: %d bytes, %v", n, len(in.Value), err)
		}
	}
	if err := stream.RecvMsg(new(wrapperspb.BytesValue)); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func TestGracefulStop(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	e := &echo{unary: func(context.Context, *wrapperspb.BytesValue) (
		*wrapperspb.BytesValue, error,
	) {
		close(begun)
		<-goOn
		return wrapperspb.Bytes([]byte("done")), nil
	}}
	s, cc := start(t, e, grpcserver.Options{})
	var calling, stopping sync.WaitGroup
	calling.Go(func() {
		if out, err := call(t.Context(), cc, nil); string(out) != "done" {
			t.Errorf("a call under way ended with %q, %v", out, err)
		}
	})
	<-begun
	stopping.Go(s.GracefulStop)
	close(goOn)
	calling.Wait()
	stopping.Wait()
}

func TestAdmit(t *testing.T) {
	opts := grpcserver.Options{Gate: gate(func(_ string, md metadata.MD) (grpcserver.Room, error) {
		if len(md["forbidden"]) > 0 {
			return nil, errForbidden
		}
		return nil, nil
	})}
	_, cc := start(t, &echo{}, opts)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "forbidden", "")
	if _, err := call(ctx, cc, nil); status.Code(err) != codes.PermissionDenied {
		t.Error(err)
	}
	stream := chat(t, ctx, cc)
	if err := stream.RecvMsg(nil); status.Code(err) != codes.PermissionDenied {
		t.Error(err)
	}
	if _, err := call(t.Context(), cc, nil); err != nil {
		t.Error(err)
	}
}
