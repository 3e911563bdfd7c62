package etcdapi

import (
	"context"
	"errors"
	"fmt"
	"io"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/miruvor/miruvor/internal/kv"
)

// streamWatchesMax bounds the ids that a stream may have in use.
const streamWatchesMax = 20_000

// What etcd says of watches that can't be. Clients compare the texts.
var (
	errWatchEmpty     = errors.New("mvcc: watcher range is empty")
	errWatchDuplicate = errors.New("mvcc: duplicate watch ID provided on the WatchStream")
)

// watchReceiver takes the requests of a stream, in their order.
type watchReceiver struct {
	api    *API
	client pb.Watch_WatchServer
	stream kv.WatchStream
	link   *watchLink
	// watches are the ids in use, until the client cancels them, also if the
	// watch ended by itself. nextID is the first to look at for a new one.
	watches map[int64]kv.WatchID
	nextID  int64
	// last is the last revision that was told.
	last kv.Revision
}

// run takes requests until the stream ends, or the client has no more. It
// returns nil then: the client still listens.
func (r *watchReceiver) run() error {
	for {
		req, err := r.client.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := r.take(req); err != nil {
			return err
		}
	}
}

// take does what a request asks. What it does not know it leaves alone.
func (r *watchReceiver) take(req *pb.WatchRequest) error {
	switch {
	case req.GetCreateRequest() != nil:
		return r.create(req.GetCreateRequest())
	case req.GetCancelRequest() != nil:
		return r.cancel(req.GetCancelRequest().WatchId)
	case req.GetProgressRequest() != nil:
		return r.link.put(notice{progress: true})
	}
	return nil
}

// create begins a watch, or tells why there is none. It returns an error if
// that is not for the watch but for the stream to bear.
//
// A watch of what comes begins right after the revision that the reply tells,
// so that one who goes on from there elsewhere misses nothing.
func (r *watchReceiver) create(req *pb.WatchCreateRequest) error {
	keys := watchRange(req)
	current, err := r.currentRevision(keys.Start)
	if err != nil {
		return err
	}
	id, refusal := r.admit(req, keys)
	if refusal != nil {
		return r.refuse(refusal)
	}
	inner := watchRequest(req, keys)
	if inner.From == 0 {
		inner.From = current + 1
	}
	w := &watch{
		id: id, from: kv.Revision(req.StartRevision),
		notify: req.ProgressNotify, fragment: req.Fragment, quiet: true,
	}
	switch w.inner, err = r.stream.Add(inner); {
	case errors.Is(err, kv.ErrInvalid), errors.Is(err, kv.ErrTooManyRequests):
		return r.refuse(err)
	case err != nil:
		return err
	}
	r.watches[id] = w.inner
	return r.link.put(notice{
		reply: &pb.WatchResponse{Header: r.api.header(current), WatchId: id, Created: true},
		begun: w,
	})
}

// admit chooses the watch's id, or tells why the watch can't be.
func (r *watchReceiver) admit(req *pb.WatchCreateRequest, keys kv.Range) (int64, error) {
	switch _, used := r.watches[req.WatchId]; {
	case req.StartRevision < 0:
		return 0, rpctypes.ErrCompacted
	case keys.Empty():
		return 0, errWatchEmpty
	case len(r.watches) >= streamWatchesMax:
		return 0, fmt.Errorf("%w: the stream has %d watches",
			rpctypes.ErrTooManyRequests, len(r.watches))
	case req.WatchId == 0:
		return r.freeID(), nil
	case used:
		return 0, errWatchDuplicate
	}
	return req.WatchId, nil
}

// freeID is the next id that is not in use.
func (r *watchReceiver) freeID() int64 {
	for {
		id := r.nextID
		r.nextID++
		if _, used := r.watches[id]; !used {
			return id
		}
	}
}

// refuse tells that a watch did not come to be.
func (r *watchReceiver) refuse(why error) error {
	return r.link.put(notice{reply: &pb.WatchResponse{
		Header: r.api.header(r.last), WatchId: invalidWatchID,
		Created: true, Canceled: true, CancelReason: why.Error(),
	}})
}

// cancel ends a watch. One that is not there gets no reply.
func (r *watchReceiver) cancel(id int64) error {
	inner, ok := r.watches[id]
	if !ok {
		return nil
	}
	delete(r.watches, id)
	r.stream.Remove(inner)
	// Without a leader the client is told of an earlier revision: that the
	// watch ended does not depend on it.
	_, _ = r.currentRevision([]byte{0})
	return r.link.put(notice{
		reply: &pb.WatchResponse{Header: r.api.header(r.last), WatchId: id, Canceled: true},
		ended: inner,
	})
}

// currentRevision is what the next reply tells.
func (r *watchReceiver) currentRevision(key []byte) (kv.Revision, error) {
	for {
		rev, err := r.api.currentRevision(r.link.ctx, key)
		r.last = max(r.last, rev)
		switch {
		case r.link.ctx.Err() != nil:
			return 0, context.Cause(r.link.ctx)
		case errors.Is(err, kv.ErrInvalid): // the key is too long
			key = []byte{0}
		case errors.Is(err, kv.ErrTooManyRequests), errors.Is(err, context.DeadlineExceeded):
			return 0, kv.ErrTimeout
		default:
			return r.last, err
		}
	}
}

// watchRange are the keys of a request. As in etcd, the empty key is the
// first, and the range that ends with the byte 0 has no end.
func watchRange(req *pb.WatchCreateRequest) kv.Range {
	key := req.Key
	if len(key) == 0 {
		key = []byte{0}
	}
	switch end := req.RangeEnd; {
	case len(end) == 0:
		return kv.PointRange(key)
	case len(end) == 1 && end[0] == 0:
		return kv.Range{Start: key}
	default:
		return kv.Range{Start: key, End: end}
	}
}

// watchRequest is the request in the store's words. Filters that it does not
// know it leaves alone.
func watchRequest(req *pb.WatchCreateRequest, keys kv.Range) kv.WatchRequest {
	inner := kv.WatchRequest{
		Range: keys, From: kv.Revision(req.StartRevision), PrevKV: req.PrevKv,
	}
	for _, f := range req.Filters {
		switch f {
		case pb.WatchCreateRequest_NOPUT:
			inner.NoPut = true
		case pb.WatchCreateRequest_NODELETE:
			inner.NoDelete = true
		}
	}
	return inner
}
