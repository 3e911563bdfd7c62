package etcdapi

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/miruvor/miruvor/internal/grpcserver"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// scriptedStream is a stream of the store that tells what a test says.
type scriptedStream struct {
	kv.WatchStream
	responses chan kv.WatchResponse
	// asked counts the questions of progress.
	asked int
}

func (s *scriptedStream) Progress() { s.asked++ }

func (s *scriptedStream) Next(ctx context.Context) (kv.WatchResponse, error) {
	select {
	case resp := <-s.responses:
		return resp, nil
	default:
	}
	select {
	case resp := <-s.responses:
		return resp, nil
	case <-ctx.Done():
		return kv.WatchResponse{}, ctx.Err()
	}
}

// heardClient is a client that remembers what it is sent, and in how many
// batches.
type heardClient struct {
	pb.Watch_WatchServer
	ctx     context.Context
	heard   []*pb.WatchResponse
	batches int
	// gate holds messages back until it is closed.
	gate chan struct{}
}

var _ grpc.ServerStream = (*heardClient)(nil)

func (c *heardClient) Context() context.Context { return c.ctx }

func (c *heardClient) SendMsg(message any) error {
	if c.gate != nil {
		<-c.gate
	}
	c.batches++
	for _, m := range *message.(*grpcserver.Batch) {
		data, err := codec{}.Append(nil, m)
		if err != nil {
			return err
		}
		resp := &pb.WatchResponse{}
		if err := proto.Unmarshal(data, resp); err != nil {
			return err
		}
		c.heard = append(c.heard, resp)
	}
	return nil
}

// told is what was heard since it was called last, short.
func (c *heardClient) told() string {
	var words []string
	for _, resp := range c.heard {
		word := fmt.Sprint(resp.WatchId)
		switch {
		case resp.Created:
			word += " created"
		case resp.Canceled:
			word += " canceled"
		case len(resp.Events) > 0:
			word += " event"
		default:
			word += fmt.Sprint(" at ", resp.Header.Revision)
		}
		words = append(words, word)
	}
	c.heard = nil
	return strings.Join(words, ", ")
}

// sending is a sender under test. What it does is settled after each step.
type sending struct {
	t      *testing.T
	client *heardClient
	store  *scriptedStream
	link   *watchLink
}

// startSender runs a sender, in a bubble, until the test is over.
func startSender(t *testing.T) *sending {
	fake := kvfake.New()
	api := New(Options{Store: fake, Maintainer: fake, ProgressInterval: time.Minute})
	ctx, cancel := context.WithCancelCause(t.Context())
	s := &sending{
		t: t, client: &heardClient{ctx: ctx}, link: newWatchLink(ctx),
		store: &scriptedStream{responses: make(chan kv.WatchResponse, 5000)},
	}
	sender := newWatchSender(api, s.client, s.store, s.link)
	ended := make(chan error, 1)
	go func() {
		defer sender.close()
		ended <- sender.run()
	}()
	t.Cleanup(func() {
		cancel(errDone)
		if err := <-ended; err == nil {
			t.Error("a sender ended well")
		}
	})
	return s
}

var errDone = errors.New("the test is done")

// begin tells of a watch that the store calls by its id plus 1.
func (s *sending) begin(id int64, from kv.Revision, notify bool) {
	s.put(notice{
		reply: &pb.WatchResponse{WatchId: id, Created: true},
		begun: &watch{id: id, inner: kv.WatchID(id + 1), from: from, notify: notify, quiet: true},
	})
}

func (s *sending) put(n notice) {
	s.t.Helper()
	if err := s.link.put(n); err != nil {
		s.t.Fatal(err)
	}
}

func (s *sending) tell(resp kv.WatchResponse) { s.store.responses <- resp }

// event is a response with one event, of the watch with an id.
func event(id int64, revision kv.Revision) kv.WatchResponse {
	return kv.WatchResponse{
		ID: kv.WatchID(id + 1), Revision: revision,
		Events: []kv.Event{{KV: kv.KeyValue{Key: []byte("k"), ModRevision: revision}}},
	}
}

func progressAt(revision kv.Revision) kv.WatchResponse {
	return kv.WatchResponse{Revision: revision}
}

// expect waits until nothing happens any more.
func (s *sending) expect(want string) {
	s.t.Helper()
	synctest.Wait()
	if got := s.client.told(); got != want {
		s.t.Errorf("told %q, want %q", got, want)
	}
}

func inBubble(t *testing.T, f func(s *sending)) {
	synctest.Test(t, func(t *testing.T) { f(startSender(t)) })
}

// A store that is faster than the receiver's word of a watch waits for it.
func TestEventsFollowCreation(t *testing.T) {
	inBubble(t, func(s *sending) {
		s.tell(event(1, 5))
		s.tell(event(0, 6))
		s.expect("")
		s.begin(0, 0, false)
		s.expect("0 created")
		s.begin(1, 0, false)
		s.expect("1 created, 1 event, 0 event")
	})
}

// Once a client was told that a watch is canceled, it hears no more of it.
func TestNothingFollowsCancellation(t *testing.T) {
	inBubble(t, func(s *sending) {
		s.begin(0, 0, false)
		s.begin(1, 0, false)
		s.expect("0 created, 1 created")
		s.put(notice{reply: &pb.WatchResponse{Canceled: true}, ended: 1})
		s.tell(event(0, 5))
		s.tell(event(1, 6))
		s.expect("0 canceled, 1 event")
		s.tell(kv.WatchResponse{ID: 2, Compacted: 9})
		s.tell(event(1, 7))
		s.expect("1 canceled")
	})
}

// An answer that may be older than a watch is not told for it: the question
// is put again.
func TestProgressOfYoungWatches(t *testing.T) {
	inBubble(t, func(s *sending) {
		s.begin(0, 0, false)
		s.put(notice{progress: true})
		s.begin(1, 3, false)
		s.tell(progressAt(10))
		s.expect("0 created, 1 created")
		if s.store.asked != 2 {
			t.Errorf("asked %d times, want 2", s.store.asked)
		}
		s.tell(progressAt(11))
		s.expect("-1 at 11")
	})
}

// Nor is it told to a young watch that wants to be told in between.
func TestTicksOfYoungWatches(t *testing.T) {
	inBubble(t, func(s *sending) {
		s.begin(0, 0, true)
		<-time.After(67 * time.Second)
		s.begin(1, 3, true)
		<-time.After(67 * time.Second)
		synctest.Wait()
		if s.store.asked != 2 {
			t.Fatalf("asked %d times, want 2", s.store.asked)
		}
		s.tell(progressAt(10))
		s.expect("0 created, 1 created, 0 at 10")
		s.tell(progressAt(11))
		s.expect("1 at 11")
	})
}

// Watches of the future have no progress, alone or together with others.
func TestProgressOfTheFuture(t *testing.T) {
	inBubble(t, func(s *sending) {
		s.begin(0, 0, true)
		s.begin(1, 20, true)
		s.put(notice{progress: true})
		s.tell(progressAt(19))
		s.expect("0 created, 1 created")
		<-time.After(67 * time.Second)
		s.tell(progressAt(19))
		s.expect("0 at 19")
		s.put(notice{progress: true})
		s.tell(progressAt(20))
		s.expect("-1 at 20")
	})
}

// The store answers with what was current when it was asked. Events may have
// come since, and nobody is told of less than before.
func TestProgressNeverGoesBack(t *testing.T) {
	inBubble(t, func(s *sending) {
		s.begin(0, 0, true)
		s.put(notice{progress: true})
		s.tell(event(0, 7))
		s.tell(progressAt(6))
		s.expect("0 created, 0 event, -1 at 7")
		s.begin(1, 0, false)
		s.put(notice{progress: true})
		s.tell(event(1, 9))
		s.tell(progressAt(8))
		s.expect("1 created, 1 event, 0 at 8, 1 at 9")
		s.put(notice{progress: true})
		s.tell(progressAt(9))
		s.expect("-1 at 9")
		<-time.After(67 * time.Second)
		<-time.After(67 * time.Second)
		s.tell(event(0, 12))
		s.tell(progressAt(11))
		s.expect("0 event")
	})
}

// However often a client asks, a bounded number of questions is under way.
func TestProgressIsBounded(t *testing.T) {
	inBubble(t, func(s *sending) {
		s.begin(0, 0, false)
		for range 10 * questionsMax {
			s.put(notice{progress: true})
		}
		synctest.Wait()
		if s.store.asked != questionsMax {
			t.Errorf("asked %d times, want %d", s.store.asked, questionsMax)
		}
		for range s.store.asked {
			s.tell(progressAt(5))
		}
		s.expect("0 created" + strings.Repeat(", -1 at 5", questionsMax))
	})
}

// What is there at once is sent together, within bounds.
func TestBatches(t *testing.T) {
	inBubble(t, func(s *sending) {
		s.begin(0, 0, false)
		s.begin(1, 0, false)
		s.expect("0 created, 1 created")
		created := s.client.batches
		s.client.gate = make(chan struct{})
		s.tell(event(0, 5))
		synctest.Wait() // it is being sent
		long := event(1, 300)
		long.Events[0].KV.Value = make([]byte, outboxBytesMax)
		for range outboxMessagesMax {
			s.tell(event(1, 6))
		}
		s.tell(event(0, 7))
		s.tell(long)
		s.tell(event(0, 301))
		close(s.client.gate)
		synctest.Wait()
		if n, want := len(s.client.heard), outboxMessagesMax+4; n != want {
			t.Errorf("%d messages, want %d", n, want)
		}
		if n := s.client.batches - created; n != 4 {
			t.Errorf("%d batches, want 4: one event, as many as may be, what is long, the rest", n)
		}
	})
}

// A client that reads more slowly than events come gets its replies all the same.
func TestRepliesAmongEvents(t *testing.T) {
	inBubble(t, func(s *sending) {
		s.begin(0, 0, false)
		s.begin(1, 0, false)
		s.expect("0 created, 1 created")
		s.client.gate = make(chan struct{})
		for i := range 4 * tellMax {
			s.tell(event(1, kv.Revision(i+5)))
		}
		synctest.Wait() // the first of them are being sent
		s.put(notice{reply: &pb.WatchResponse{Canceled: true}, ended: 1})
		close(s.client.gate)
		synctest.Wait()
		before, _, found := strings.Cut(s.client.told(), "canceled")
		if n := strings.Count(before, "event"); !found || n > 2*tellMax {
			t.Errorf("a reply after %d events, found %v, want it before %d", n, found, 2*tellMax)
		}
	})
}
