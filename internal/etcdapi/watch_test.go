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
