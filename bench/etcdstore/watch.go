package etcdstore

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/miruvor/miruvor/internal/kv"
)

// progressInterval is how often progress is asked for until there is some.
const progressInterval = 20 * time.Millisecond

// watchStream is one gRPC stream of watches. Its queue has no bound.
type watchStream struct {
	store  *Store
	stream pb.Watch_WatchClient
	ctx    context.Context
	cancel context.CancelFunc

	// adding is held by Add, so that the next created watch is its.
	adding  sync.Mutex
	created chan *pb.WatchResponse
	// sending is held to send.
	sending sync.Mutex

	mu    sync.Mutex
	last  kv.WatchID
	alive map[kv.WatchID]bool
	queue []kv.WatchResponse
	// awaited are the revisions that calls of Progress wait for.
	awaited []kv.Revision
	// woken has room for one word that queue changed.
	woken chan struct{}
}

// Watch implements kv.Store.
func (s *Store) Watch(ctx context.Context) (kv.WatchStream, error) {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := s.watch.Watch(ctx)
	if err != nil {
		cancel()
		return nil, failure(err)
	}
	w := &watchStream{
		store:   s,
		stream:  stream,
		ctx:     ctx,
		cancel:  cancel,
		created: make(chan *pb.WatchResponse),
		alive:   map[kv.WatchID]bool{},
		woken:   make(chan struct{}, 1),
	}
	go w.receive()
	return w, nil
}

// Add implements kv.WatchStream.
func (w *watchStream) Add(req kv.WatchRequest) (kv.WatchID, error) {
	w.adding.Lock()
	defer w.adding.Unlock()
	id := w.nextID()
	if err := w.send(createRequest(id, &req)); err != nil {
		return 0, err
	}
	select {
	case resp := <-w.created:
		switch {
		case !resp.Canceled:
			return id, nil
		case resp.CancelReason == rpctypes.ErrCompacted.Error():
			return 0, kv.ErrCompacted
		}
		return 0, fmt.Errorf("%w: %s", kv.ErrInvalid, resp.CancelReason)
	case <-w.ctx.Done():
		return 0, kv.ErrStopped
	}
}

func (w *watchStream) nextID() kv.WatchID {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last++
	w.alive[w.last] = true
	return w.last
}

func createRequest(id kv.WatchID, req *kv.WatchRequest) *pb.WatchRequest {
	key, end := bounds(req.Range)
	create := &pb.WatchCreateRequest{
		Key:           key,
		RangeEnd:      end,
		StartRevision: int64(req.From),
		PrevKv:        req.PrevKV,
		WatchId:       int64(id),
	}
	if req.NoPut {
		create.Filters = append(create.Filters, pb.WatchCreateRequest_NOPUT)
	}
	if req.NoDelete {
		create.Filters = append(create.Filters, pb.WatchCreateRequest_NODELETE)
	}
	return &pb.WatchRequest{
		RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: create},
	}
}

// Remove implements kv.WatchStream.
func (w *watchStream) Remove(id kv.WatchID) {
	w.forget(id)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = slices.DeleteFunc(w.queue, func(resp kv.WatchResponse) bool {
		return resp.ID == id
	})
}

// forget has etcd cancel a watch, and drops what still comes of it.
func (w *watchStream) forget(id kv.WatchID) {
	w.mu.Lock()
	delete(w.alive, id)
	w.mu.Unlock()
	cancel := &pb.WatchCancelRequest{WatchId: int64(id)}
	// If this fails, so does everything else of the stream.
	_ = w.send(&pb.WatchRequest{
		RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: cancel},
	})
}

// Progress implements kv.WatchStream. An etcd with a watch that is behind
// drops the request, so it is sent until one is answered.
func (w *watchStream) Progress() {
	go func() {
		current, err := w.store.Range(w.ctx, kv.RangeRequest{CountOnly: true})
		if err != nil {
			return
		}
		w.mu.Lock()
		w.awaited = append(w.awaited, current.Revision)
		w.mu.Unlock()
		ticker := time.NewTicker(progressInterval)
		defer ticker.Stop()
		for w.isAwaited(current.Revision) {
			err := w.send(&pb.WatchRequest{
				RequestUnion: &pb.WatchRequest_ProgressRequest{
					ProgressRequest: &pb.WatchProgressRequest{},
				},
			})
			if err != nil {
				return
			}
			select {
			case <-ticker.C:
			case <-w.ctx.Done():
				return
			}
		}
	}()
}

func (w *watchStream) isAwaited(rev kv.Revision) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Contains(w.awaited, rev)
}

// Next implements kv.WatchStream.
func (w *watchStream) Next(ctx context.Context) (kv.WatchResponse, error) {
	for {
		if w.ctx.Err() != nil {
			return kv.WatchResponse{}, kv.ErrStopped
		}
		if resp, ok := w.take(); ok {
			return resp, nil
		}
		select {
		case <-w.woken:
		case <-w.ctx.Done():
		case <-ctx.Done():
			return kv.WatchResponse{}, ctx.Err()
		}
	}
}

// Close implements kv.WatchStream.
func (w *watchStream) Close() { w.cancel() }

func (w *watchStream) take() (resp kv.WatchResponse, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		return resp, false
	}
	resp = w.queue[0]
	w.queue = w.queue[1:]
	return resp, true
}

func (w *watchStream) send(req *pb.WatchRequest) error {
	w.sending.Lock()
	defer w.sending.Unlock()
	if err := w.stream.Send(req); err != nil {
		return fmt.Errorf("%w: %w", kv.ErrStopped, err)
	}
	return nil
}

// receive files what etcd sends until the stream ends.
func (w *watchStream) receive() {
	defer w.cancel()
	for {
		resp, err := w.stream.Recv()
		switch {
		case err != nil:
			return
		case resp.Created:
			select {
			case w.created <- resp:
			case <-w.ctx.Done():
				return
			}
		default:
			w.file(resp)
		}
		if resp.CompactRevision != 0 {
			// Etcd ends the watch, but holds back progress while it has it.
			w.forget(kv.WatchID(resp.WatchId))
		}
	}
}

func (w *watchStream) file(resp *pb.WatchResponse) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if resp.WatchId < 0 {
		w.fileProgress(kv.Revision(resp.Header.Revision))
	} else if w.alive[kv.WatchID(resp.WatchId)] {
		w.queue = append(w.queue, watchResponse(resp))
	}
	select {
	case w.woken <- struct{}{}:
	default:
	}
}

// fileProgress answers the calls that rev is enough for. It may answer none:
// of requests that were sent twice.
func (w *watchStream) fileProgress(rev kv.Revision) {
	w.awaited = slices.DeleteFunc(w.awaited, func(want kv.Revision) bool {
		if rev >= want {
			w.queue = append(w.queue, kv.WatchResponse{Revision: rev})
		}
		return rev >= want
	})
}

// watchResponse takes the last event for the watermark of a response that has
// events, as the header may be ahead of what etcd has still to deliver.
func watchResponse(resp *pb.WatchResponse) kv.WatchResponse {
	out := kv.WatchResponse{
		ID:        kv.WatchID(resp.WatchId),
		Revision:  kv.Revision(resp.Header.Revision),
		Compacted: kv.Revision(resp.CompactRevision),
	}
	for _, e := range resp.Events {
		event := kv.Event{
			KV:      keyValue(e.Kv),
			Prev:    optional(e.PrevKv),
			Deleted: e.Type == mvccpb.Event_DELETE,
		}
		out.Events = append(out.Events, event)
		out.Revision = event.KV.ModRevision
	}
	return out
}
