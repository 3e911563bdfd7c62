package etcdapi

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// recordedStream remembers what was asked of a stream of the store.
type recordedStream struct {
	kv.WatchStream
	added   []kv.WatchRequest
	removed []kv.WatchID
	failure error
}

func (s *recordedStream) Add(req kv.WatchRequest) (kv.WatchID, error) {
	if s.failure != nil {
		return 0, s.failure
	}
	s.added = append(s.added, req)
	return kv.WatchID(len(s.added)), nil
}

func (s *recordedStream) Remove(id kv.WatchID) { s.removed = append(s.removed, id) }

// newReceiver is a receiver of an empty store, and its stream. Notices are for
// the test to take.
func newReceiver(t *testing.T) (*watchReceiver, *recordedStream) {
	fake := kvfake.New()
	stream := &recordedStream{}
	return &watchReceiver{
		api:    New(Options{Store: fake, Maintainer: fake}),
		stream: stream, link: newWatchLink(t.Context()), watches: map[int64]kv.WatchID{},
	}, stream
}

func createRequest(req *pb.WatchCreateRequest) *pb.WatchRequest {
	return &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: req}}
}

func cancelRequest(id int64) *pb.WatchRequest {
	return &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{
		CancelRequest: &pb.WatchCancelRequest{WatchId: id},
	}}
}

// reply is what the receiver has the sender send next.
func (r *watchReceiver) reply(t *testing.T, req *pb.WatchRequest) *pb.WatchResponse {
	t.Helper()
	if err := r.take(req); err != nil {
		t.Fatal(err)
	}
	return (<-r.link.notices).reply
}

// Ids count on, past those that clients chose.
func TestWatchIDs(t *testing.T) {
	r, stream := newReceiver(t)
	var got []int64
	for _, id := range []int64{1, 0, 0, -1, 0, 3, 0, 3} {
		reply := r.reply(t, createRequest(&pb.WatchCreateRequest{Key: []byte("k"), WatchId: id}))
		got = append(got, reply.WatchId)
		if reply.Canceled {
			got[len(got)-1] = 100
		}
	}
	if want := []int64{1, 0, 2, -1, 3, 100, 4, 100}; !slices.Equal(got, want) {
		t.Errorf("ids are %d, want %d", got, want)
	}
	r.reply(t, cancelRequest(2))
	if err := r.take(cancelRequest(2)); err != nil {
		t.Fatal(err)
	}
	if want := []kv.WatchID{3}; !slices.Equal(stream.removed, want) {
		t.Errorf("the store was to end %d, want %d", stream.removed, want)
	}
}

// What a request says in etcd's words, the store is asked in its own.
func TestWatchRequests(t *testing.T) {
	r, stream := newReceiver(t)
	for req, want := range map[*pb.WatchCreateRequest]kv.WatchRequest{
		{}: {Range: kv.PointRange([]byte{0}), From: 2},
		{Key: []byte("a"), RangeEnd: []byte("c"), PrevKv: true}: {
			Range: kv.Range{Start: []byte("a"), End: []byte("c")}, From: 2, PrevKV: true,
		},
		{Key: []byte("a"), RangeEnd: []byte{0}, StartRevision: 7}: {
			Range: kv.Range{Start: []byte("a")}, From: 7,
		},
		{Key: []byte("a"), Filters: []pb.WatchCreateRequest_FilterType{1, 0, 8}}: {
			Range: kv.PointRange([]byte("a")), From: 2, NoPut: true, NoDelete: true,
		},
	} {
		r.reply(t, createRequest(req))
		got := stream.added[len(stream.added)-1]
		if got.String() != want.String() || got.From != want.From || got.PrevKV != want.PrevKV ||
			got.NoPut != want.NoPut || got.NoDelete != want.NoDelete {
			t.Errorf("%v became %+v, want %+v", req, got, want)
		}
	}
}

// A stream has a bound on the ids in use, and the store may have more: a watch
// that is too much is refused, and nothing else. What is wrong with the
// store ends the stream.
func TestWatchesRefused(t *testing.T) {
	r, stream := newReceiver(t)
	any := createRequest(&pb.WatchCreateRequest{Key: []byte("k")})
	stream.failure = kv.ErrTooManyRequests
	if reply := r.reply(t, any); !reply.Canceled || !reply.Created || reply.WatchId != -1 {
		t.Errorf("told %v", reply)
	}
	stream.failure = kv.ErrStopped
	if err := r.take(any); !errors.Is(err, kv.ErrStopped) {
		t.Errorf("a stopped store: %v", err)
	}
	stream.failure = nil
	for id := range int64(streamWatchesMax) {
		r.watches[id] = kv.WatchID(id)
	}
	reply := r.reply(t, any)
	if !reply.Canceled || !strings.Contains(reply.CancelReason, "20000 watches") {
		t.Errorf("told %v", reply)
	}
	r.reply(t, cancelRequest(7))
	if reply := r.reply(t, any); reply.Canceled {
		t.Errorf("told %v", reply)
	}
	tooLong := createRequest(&pb.WatchCreateRequest{Key: make([]byte, 1<<20)})
	delete(r.watches, 8)
	stream.failure = kv.ErrInvalid
	if reply := r.reply(t, tooLong); !reply.Canceled {
		t.Errorf("told %v", reply)
	}
}

// Without a leader nothing is known of now: the client is to try elsewhere.
func TestWatchesWithoutLeader(t *testing.T) {
	r, _ := newReceiver(t)
	r.api.store = failingStore{r.api.store, kv.ErrNoLeader}
	any := createRequest(&pb.WatchCreateRequest{Key: []byte("k")})
	if err := r.take(any); !errors.Is(err, kv.ErrNoLeader) {
		t.Errorf("create: %v", err)
	}
	r.watches[4] = 1
	if reply := r.reply(t, cancelRequest(4)); !reply.Canceled || reply.WatchId != 4 {
		t.Errorf("told %v", reply)
	}
	r.api.store = failingStore{r.api.store, kv.ErrTooManyRequests}
	if err := r.take(any); !errors.Is(err, kv.ErrTimeout) {
		t.Errorf("a busy store: %v", err)
	}
}

// failingStore is a store that can't be read.
type failingStore struct {
	kv.Store
	err error
}

func (s failingStore) Range(context.Context, kv.RangeRequest) (kv.RangeResponse, error) {
	return kv.RangeResponse{}, s.err
}
