package etcdtest

import (
	"context"
	"strings"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
)

// stream is one gRPC stream of watches. Its goroutine receives until the
// stream ends; close ends it and waits.
type stream struct {
	client pb.Watch_WatchClient
	cancel context.CancelFunc
	done   chan struct{}
	// woken has room for one word that something came.
	woken chan struct{}

	mu sync.Mutex
	// came is what was not told yet. err is what ended the stream.
	came []*pb.WatchResponse
	err  error

	// told is what the runner knows of the watches by now.
	told watches
}

func openStream(
	ctx context.Context, conn grpc.ClientConnInterface, leaksPrev bool,
) (*stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	client, err := pb.NewWatchClient(conn).Watch(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	s := &stream{
		client: client,
		cancel: cancel,
		done:   make(chan struct{}),
		woken:  make(chan struct{}, 1),
		told:   watches{leaksPrev: leaksPrev},
	}
	go s.receive()
	return s, nil
}

func (s *stream) receive() {
	defer close(s.done)
	for {
		resp, err := s.client.Recv()
		s.mu.Lock()
		if err != nil {
			s.err = err
		} else {
			s.came = append(s.came, resp)
		}
		s.mu.Unlock()
		select {
		case s.woken <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// send leaves errors to receive, which gets the reason.
func (s *stream) send(req *pb.WatchRequest) {
	if create := req.GetCreateRequest(); create != nil {
		s.told.asked = append(s.told.asked, create)
	}
	_ = s.client.Send(req)
}

// pending is what would be told now.
func (s *stream) pending(base int64) (text string, after watches, count int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, after = s.told.tell(s.came, base)
	if s.err != nil && !s.told.ended {
		text += "ended with " + printError(s.err)
		after.ended = true
	}
	return text, after, len(s.came)
}

// take tells what came.
func (s *stream) take(base int64) string {
	text, after, count := s.pending(base)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.came, s.told = s.came[count:], after
	return text
}

// tellQuiet tells what came once there are so many lines and nothing came for
// a while.
func (s *stream) tellQuiet(
	ctx context.Context, base int64, lines int, quiet time.Duration,
) (string, error) {
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	deadline := time.After(callTimeout)
	for {
		select {
		case <-s.woken:
			timer.Reset(quiet)
		case <-timer.C:
			text, _, _ := s.pending(base)
			if countLines(text) >= lines {
				return s.take(base), nil
			}
			timer.Reset(quiet)
		case <-deadline:
			return s.take(base), nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// tellWanted tells what came once it is what is wanted, or too late.
func (s *stream) tellWanted(
	ctx context.Context, base int64, want string, patience time.Duration,
) (string, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		if text, _, _ := s.pending(base); text == want {
			return s.take(base), nil
		}
		select {
		case <-s.woken:
		case <-timer.C:
			return s.take(base), nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// close cancels what watches there are, so that all that was on its way
// arrives, and tells that. Then it ends the stream.
func (s *stream) close(base int64) string {
	var rest strings.Builder
	rest.WriteString(s.take(base) + s.told.unfinished())
	for _, id := range s.told.alive() {
		s.send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{
			CancelRequest: &pb.WatchCancelRequest{WatchId: id},
		}})
	}
	s.told.closing = true
	timer := time.NewTimer(callTimeout)
	defer timer.Stop()
	for len(s.told.alive()) > 0 && !s.told.ended {
		select {
		case <-s.woken:
			rest.WriteString(s.take(base))
		case <-timer.C:
			s.told.ended = true
			rest.WriteString("watches were not canceled\n")
		}
	}
	s.cancel()
	<-s.done
	return rest.String()
}
