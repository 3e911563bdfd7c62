package httpapi_test

import (
	"context"

	"github.com/miruvor/miruvor/internal/kv"
)

// answering is a store that costs nothing: it always has the value.
type answering struct {
	kv.Store
	value []byte
}

func (s answering) Range(_ context.Context, req kv.RangeRequest) (kv.RangeResponse, error) {
	return kv.RangeResponse{Revision: 1 << 40, KVs: []kv.KeyValue{{
		Key: req.Start, Value: s.value, CreateRevision: 1 << 30, ModRevision: 1 << 39, Version: 7,
	}}}, nil
}

func (s answering) Txn(context.Context, kv.TxnRequest) (kv.TxnResponse, error) {
	return kv.TxnResponse{Revision: 1 << 40, Succeeded: true, Results: []kv.Result{
		{Put: &kv.PutResponse{Version: 7}},
	}}, nil
}

func (s answering) Status(context.Context) (kv.Status, error) {
	return kv.Status{Node: 1, Ready: true}, nil
}

// telling is a store whose watches tell so many events, one a revision, and
// then end.
type telling struct {
	answering
	events int
}

func (s telling) Watch(context.Context) (kv.WatchStream, error) {
	return &tellingStream{value: s.value, left: s.events}, nil
}

type tellingStream struct {
	kv.WatchStream
	value []byte
	left  int
}

func (s *tellingStream) Add(kv.WatchRequest) (kv.WatchID, error) { return 1, nil }

func (s *tellingStream) Next(context.Context) (kv.WatchResponse, error) {
	if s.left == 0 {
		return kv.WatchResponse{}, kv.ErrStopped
	}
	s.left--
	at := kv.Revision(1<<40 - s.left)
	return kv.WatchResponse{ID: 1, Revision: at, Events: []kv.Event{{KV: kv.KeyValue{
		Key: []byte("some/key"), Value: s.value, CreateRevision: 1, ModRevision: at, Version: 7,
	}}}}, nil
}

func (s *tellingStream) Close() {}
