package etcdtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// call makes a call of etcd's and prints its answer.
func (r *Runner) call(ctx context.Context, cmd command) (string, error) {
	desc, path, err := method(cmd.verb)
	if err != nil {
		return "", err
	}
	req, err := parseMessage(desc.Input(), cmd.args+"\n"+cmd.body, r.base)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := newMessage(desc.Output())
	if err != nil {
		return "", err
	}
	if desc.IsStreamingServer() {
		err = r.stream(ctx, desc, path, req, resp)
	} else {
		err = r.Conn.Invoke(ctx, path, req.Interface(), resp.Interface())
	}
	if err != nil {
		return printError(err), nil
	}
	if sum, ok := resp.Interface().(*pb.RangeStreamResponse); ok {
		resp = sum.RangeResponse.ProtoReflect()
	}
	r.rememberLease(req, resp)
	normalize(resp, r.base, time.Since(r.begun))
	return r.hideLease(printAnswer(resp)), nil
}

// stream sends one request and merges the answers up to the stream's end, as
// clients do. What a part may not have is noticed.
func (r *Runner) stream(
	ctx context.Context, desc protoreflect.MethodDescriptor, path string,
	req, resp protoreflect.Message,
) error {
	s, err := r.Conn.NewStream(ctx, &grpc.StreamDesc{
		ServerStreams: true, ClientStreams: desc.IsStreamingClient(),
	}, path)
	if err != nil {
		return err
	}
	if err := s.SendMsg(req.Interface()); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := s.CloseSend(); err != nil {
		return err
	}
	ended := false
	for {
		part := resp.New().Interface()
		switch err := s.RecvMsg(part); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case ended:
			return fmt.Errorf("a part follows the one with the header: %v", part)
		}
		if chunk, ok := part.(*pb.RangeStreamResponse); ok {
			ended = headerOf(chunk.RangeResponse) != nil
		}
		proto.Merge(resp.Interface(), part)
	}
}

// rememberLease notes an id that was the server's to choose.
func (r *Runner) rememberLease(req, resp protoreflect.Message) {
	asked, ok := req.Interface().(*pb.LeaseGrantRequest)
	granted, granting := resp.Interface().(*pb.LeaseGrantResponse)
	if ok && granting && asked.ID == 0 {
		r.lease = fmt.Sprint(granted.ID)
	}
}

func (r *Runner) hideLease(text string) string {
	if r.lease == "" {
		return text
	}
	for _, field := range []string{"ID=", "lease="} {
		text = strings.ReplaceAll(text, field+r.lease, field+"$lease")
	}
	return text
}
