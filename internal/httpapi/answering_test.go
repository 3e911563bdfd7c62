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
