package etcdapi_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/miruvor/miruvor/internal/etcdapi"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// TestWatchStories has a client with one stream of watches live through a text.
// After each command all that it is told until nothing happens any more is shown.
//
//	create, cancel, progress   send the request that the input is the text of
//	sleep for=DURATION
//	hang-up                    the client says no more, and listens
//	stop                       the server's streams end
//	put, delete, txn, compact  as in other stories
func TestWatchStories(t *testing.T) {
	datadriven.Walk(t, "testdata/watch", func(t *testing.T, path string) {
		synctest.Test(t, func(t *testing.T) {
			limits := kv.DefaultLimits
			limits.RequestBytesMax = 1 << 10
			fake := kvfake.New(kvfake.WithLimits(limits))
			api := etcdapi.New(etcdapi.Options{
				Store: fake, Maintainer: fake, Limits: limits, ProgressInterval: time.Minute,
			})
			s := &watchStory{api: api}
			conn := connect(t, api.NewServer(etcdapi.ServerOptions{}))
			s.connect(conn)
			s.listener = listen(t, pb.NewWatchClient(conn))
			datadriven.RunTest(t, path, s.run)
		})
	})
}

type watchStory struct {
	story
	*listener
	api *etcdapi.API
}

func (s *watchStory) run(t *testing.T, d *datadriven.TestData) string {
	var answer string
	switch d.Cmd {
	case "create":
		s.send(t, d, func(req *pb.WatchRequest, text []byte) error {
			create := &pb.WatchCreateRequest{}
			req.RequestUnion = &pb.WatchRequest_CreateRequest{CreateRequest: create}
			return prototext.Unmarshal(text, create)
		})
	case "cancel":
		s.send(t, d, func(req *pb.WatchRequest, text []byte) error {
			cancel := &pb.WatchCancelRequest{}
			req.RequestUnion = &pb.WatchRequest_CancelRequest{CancelRequest: cancel}
			return prototext.Unmarshal(text, cancel)
		})
	case "request":
		s.send(t, d, func(req *pb.WatchRequest, text []byte) error {
			return prototext.Unmarshal(text, req)
		})
	case "progress":
		s.send(t, d, func(req *pb.WatchRequest, _ []byte) error {
			req.RequestUnion = &pb.WatchRequest_ProgressRequest{
				ProgressRequest: &pb.WatchProgressRequest{},
			}
			return nil
		})
	case "sleep":
		var text string
		d.ScanArgs(t, "for", &text)
		duration, err := time.ParseDuration(text)
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		<-time.After(duration)
	case "hang-up":
		if err := s.stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
	case "stop":
		s.api.Drain()
	default:
		answer = s.story.run(t, d)
	}
	synctest.Wait()
	return answer + s.told()
}

// send sends a request for each line of the input, or one if there is none.
func (s *watchStory) send(
	t *testing.T, d *datadriven.TestData, parse func(*pb.WatchRequest, []byte) error,
) {
	for line := range strings.SplitSeq(d.Input, "\n") {
		req := &pb.WatchRequest{}
		if err := parse(req, []byte(line)); err != nil {
			d.Fatalf(t, "%v", err)
		}
		if err := s.stream.Send(req); err != nil {
			t.Fatal(err)
		}
	}
}

// listener takes all that a stream of watches tells.
type listener struct {
	stream pb.Watch_WatchClient
	mu     sync.Mutex
	heard  []*pb.WatchResponse
	err    error
}

func listen(t *testing.T, client pb.WatchClient) *listener {
	stream, err := client.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{stream: stream}
	var running sync.WaitGroup
	running.Go(l.run)
	t.Cleanup(running.Wait)
	return l
}

func (l *listener) run() {
	for {
		resp, err := l.stream.Recv()
		l.mu.Lock()
		if err != nil {
			l.err = err
			l.mu.Unlock()
			return
		}
		l.heard = append(l.heard, resp)
		l.mu.Unlock()
	}
}

// take is what was heard since it was called last.
func (l *listener) take() ([]*pb.WatchResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	heard := l.heard
	l.heard = nil
	return heard, l.err
}

// told is the same as text.
func (l *listener) told() string {
	heard, err := l.take()
	var text strings.Builder
	for _, resp := range heard {
		fmt.Fprintf(&text, "%s", watchTold(resp))
	}
	if err != nil {
		s := status.Convert(err)
		fmt.Fprintf(&text, "end: %v: %s\n", s.Code(), s.Message())
	}
	return text.String()
}

// watchTold is a response as text, a line for the response and one for each
// event.
func watchTold(resp *pb.WatchResponse) string {
	text := told(resp, nil)
	text = strings.ReplaceAll(text, " events:{", "\n  events:{")
	return "told " + text
}

// TestFragments: a response that is longer than a request may be, with what
// messages have beside, comes in parts to whom can put them together, and whole to
// whom can't.
func TestFragments(t *testing.T) {
	const keys, valueBytes = 40, 60 << 10
	fake := kvfake.New()
	for i := range keys {
		req := kv.PutRequest{Key: fmt.Appendf(nil, "k%02d", i), Value: make([]byte, valueBytes)}
		if _, err := kv.Put(t.Context(), fake, req); err != nil {
			t.Fatal(err)
		}
	}
	conn := serve(t, etcdapi.Options{Store: fake, Maintainer: fake})
	stream, err := pb.NewWatchClient(conn).Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for id, fragment := range map[int64]bool{1: true, 2: false} {
		if err := stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{
			CreateRequest: &pb.WatchCreateRequest{
				Key: []byte("k"), RangeEnd: []byte("l"), PrevKv: true,
				WatchId: id, Fragment: fragment,
			},
		}}); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := kv.Delete(t.Context(), fake, kv.DeleteRequest{}); err != nil {
		t.Fatal(err)
	}
	parts := map[int64][]*pb.WatchResponse{}
	for len(parts[1]) == 0 || len(parts[2]) == 0 || parts[1][len(parts[1])-1].Fragment {
		resp, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		parts[resp.WatchId] = append(parts[resp.WatchId], resp)
	}
	if len(parts[1]) != 2 || len(parts[2]) != 1 || parts[2][0].Fragment {
		t.Fatalf("told in %d parts, and in %d", len(parts[1]), len(parts[2]))
	}
	whole := parts[1][0]
	whole.Events = append(whole.Events, parts[1][1].Events...)
	whole.WatchId, whole.Fragment = 2, false
	if !proto.Equal(whole, parts[2][0]) {
		t.Error("the parts are not the whole")
	}
}
