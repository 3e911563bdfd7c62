package etcdapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/miruvor/miruvor/internal/etcdapi"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// TestStories has the services answer requests that are written as text of
// etcd's messages. Of each header only the revision is shown.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		s := &story{clock: time.Unix(1, 0)}
		fake := kvfake.New(kvfake.WithLimits(storyLimits()),
			kvfake.WithClock(func() time.Time { return s.clock }))
		s.connect(serve(t, etcdapi.Options{
			Store: fake, Maintainer: fake, Limits: storyLimits(),
		}))
		datadriven.RunTest(t, path, s.run)
	})
}

// storyLimits let a transaction have four operations.
func storyLimits() kv.Limits {
	limits := kv.DefaultLimits
	limits.OpsMax = 4
	return limits
}

// story is a client that does what a text says.
type story struct {
	kv    pb.KVClient
	lease pb.LeaseClient
	// clock is the store's.
	clock time.Time
}

func (s *story) connect(conn *grpc.ClientConn) {
	s.kv, s.lease = pb.NewKVClient(conn), pb.NewLeaseClient(conn)
}

func (s *story) run(t *testing.T, d *datadriven.TestData) string {
	ctx := t.Context()
	switch d.Cmd {
	case "range":
		return call(ctx, d, &pb.RangeRequest{}, s.kv.Range)
	case "range-stream":
		return s.rangeStream(ctx, d)
	case "put":
		return call(ctx, d, &pb.PutRequest{}, s.kv.Put)
	case "delete":
		return call(ctx, d, &pb.DeleteRangeRequest{}, s.kv.DeleteRange)
	case "txn":
		return call(ctx, d, &pb.TxnRequest{}, s.kv.Txn)
	case "compact":
		return call(ctx, d, &pb.CompactionRequest{}, s.kv.Compact)
	case "grant":
		return call(ctx, d, &pb.LeaseGrantRequest{}, s.lease.LeaseGrant)
	case "revoke":
		return call(ctx, d, &pb.LeaseRevokeRequest{}, s.lease.LeaseRevoke)
	case "time-to-live":
		return call(ctx, d, &pb.LeaseTimeToLiveRequest{}, s.lease.LeaseTimeToLive)
	case "leases":
		return call(ctx, d, &pb.LeaseLeasesRequest{}, s.lease.LeaseLeases)
	case "keep-alive":
		return s.keepAlive(ctx, d)
	case "fill":
		return s.fill(t, d)
	case "long-key":
		var bytes int
		d.ScanArgs(t, "bytes", &bytes)
		answer, err := s.kv.Put(ctx, &pb.PutRequest{Key: make([]byte, bytes)})
		return told(answer, err)
	case "wait":
		var seconds int
		d.ScanArgs(t, "seconds", &seconds)
		s.clock = s.clock.Add(time.Duration(seconds) * time.Second)
		return ""
	}
	t.Fatalf("%s: no command %q", d.Pos, d.Cmd)
	return ""
}

// fill puts keys k00, k01 and so on.
func (s *story) fill(t *testing.T, d *datadriven.TestData) string {
	var keys int
	d.ScanArgs(t, "keys", &keys)
	for i := range keys {
		req := &pb.PutRequest{Key: fmt.Appendf(nil, "k%02d", i), Value: []byte("v")}
		if _, err := s.kv.Put(t.Context(), req); err != nil {
			return told(nil, err)
		}
	}
	return ""
}

// keepAlive renews the lease of each line over one stream.
func (s *story) keepAlive(ctx context.Context, d *datadriven.TestData) string {
	stream, err := s.lease.LeaseKeepAlive(ctx)
	if err != nil {
		return told(nil, err)
	}
	var text strings.Builder
	for line := range strings.Lines(d.Input) {
		req := &pb.LeaseKeepAliveRequest{}
		if err := prototext.Unmarshal([]byte(line), req); err != nil {
			return err.Error()
		}
		if err := stream.Send(req); err != nil {
			return told(nil, err)
		}
		answer, err := stream.Recv()
		text.WriteString(told(answer, err))
	}
	if err := stream.CloseSend(); err != nil {
		return told(nil, err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		return told(nil, err)
	}
	return text.String()
}

// rangeStream shows how many keys each chunk has, and what they merge to.
func (s *story) rangeStream(ctx context.Context, d *datadriven.TestData) string {
	req := &pb.RangeRequest{}
	if err := prototext.Unmarshal([]byte(d.Input), req); err != nil {
		return err.Error()
	}
	stream, err := s.kv.RangeStream(ctx, req)
	if err != nil {
		return told(nil, err)
	}
	var sizes []int
	whole := &pb.RangeResponse{}
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return fmt.Sprintf("chunks of %v\n", sizes) + told(whole, nil)
		}
		if err != nil {
			return told(nil, err)
		}
		sizes = append(sizes, len(chunk.RangeResponse.Kvs))
		proto.Merge(whole, chunk.RangeResponse)
	}
}

// call makes one call with the request that d's input is the text of.
func call[Req, Resp proto.Message](
	ctx context.Context, d *datadriven.TestData, req Req,
	method func(context.Context, Req, ...grpc.CallOption) (Resp, error),
) string {
	if err := prototext.Unmarshal([]byte(d.Input), req); err != nil {
		return err.Error()
	}
	answer, err := method(ctx, req)
	return told(answer, err)
}

var (
	// The package that prints messages puts in spaces at random.
	spaces     = regexp.MustCompile(` +`)
	headerRest = regexp.MustCompile(`cluster_id:\d+ member_id:\d+ (revision:\d+)? ?raft_term:\d+`)
	perKV      = regexp.MustCompile(` (kvs|prev_kvs|responses|leases|prev_kv):\{`)
)

// told is an answer or an error as a text, with a line for each version, each
// lease and each answer of an operation.
func told(answer proto.Message, err error) string {
	if err != nil {
		s := status.Convert(err)
		return fmt.Sprintf("%v: %s\n", s.Code(), s.Message())
	}
	text := spaces.ReplaceAllString(prototext.MarshalOptions{}.Format(answer), " ")
	text = headerRest.ReplaceAllString(text, "$1")
	return perKV.ReplaceAllString(text, "\n  $1:{") + "\n"
}
