package httpclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// Txn implements kv.Store. A lone put or delete goes to the key's own route,
// which carries bytes as they are; the rest goes as JSON.
func (c *Client) Txn(ctx context.Context, req kv.TxnRequest) (kv.TxnResponse, error) {
	if len(req.Compares) == 0 && len(req.Failure) == 0 && len(req.Success) == 1 {
		switch op := req.Success[0]; {
		case op.Put != nil && isPlainPut(op):
			return c.putKey(ctx, op.Put)
		case op.Delete != nil && isPlainDelete(op):
			return c.deleteKey(ctx, op.Delete)
		}
	}
	if lacksRequest(&req) {
		return kv.TxnResponse{}, fmt.Errorf("%w: an operation holds no request", kv.ErrKeyNotFound)
	}
	body, err := kvjson.NewTxn(&req).Marshal()
	if err != nil {
		return kv.TxnResponse{}, fmt.Errorf("encode the transaction: %w", err)
	}
	call := &call{method: http.MethodPost, path: "/v1/txn", body: body, writes: true}
	got, err := c.do(ctx, call)
	if err != nil {
		return kv.TxnResponse{}, err
	}
	var j kvjson.TxnResult
	if err := got.decode(call, &j); err != nil {
		return kv.TxnResponse{}, err
	}
	resp, err := j.Decode()
	if err == nil && !isAnswer(&req, &resp) {
		err = errors.New("its results are not those of the operations")
	}
	if err != nil {
		return resp, fmt.Errorf("%w: answer of %s: %w", kv.ErrUncertain, got.endpoint.Host, err)
	}
	return resp, nil
}

// isAnswer tells whether resp holds a result for each operation of the branch that it
// says was taken, which without a condition is the one of success.
func isAnswer(req *kv.TxnRequest, resp *kv.TxnResponse) bool {
	ops := req.Success
	if !resp.Succeeded {
		ops = req.Failure
	}
	if !resp.Succeeded && len(req.Compares) == 0 {
		return false
	}
	return slices.EqualFunc(ops, resp.Results, func(op kv.Op, result kv.Result) bool {
		switch {
		case op.Range != nil:
			return result.Range != nil
		case op.Put != nil:
			return result.Put != nil
		case op.Delete != nil:
			return result.Delete != nil
		}
		return result.Txn != nil && isAnswer(op.Txn, result.Txn)
	})
}

// lacksRequest tells whether an operation of req, at any depth, holds none. A
// store has an error of its own for that; over HTTP it is one of many mistakes.
func lacksRequest(req *kv.TxnRequest) bool {
	lacks := func(op kv.Op) bool {
		if op.Txn != nil {
			return lacksRequest(op.Txn)
		}
		return op.Range == nil && op.Put == nil && op.Delete == nil
	}
	return slices.ContainsFunc(req.Success, lacks) || slices.ContainsFunc(req.Failure, lacks)
}

// isPlainPut tells whether op sets a key to a value, and no more. A lease that
// cannot be goes as JSON, where the store says so.
func isPlainPut(op kv.Op) bool {
	put := op.Put
	return op.Range == nil && op.Delete == nil && op.Txn == nil && isRoutable(put.Key) &&
		!put.PrevKV && put.Lease >= 0 && !put.IgnoreValue && !put.IgnoreLease
}

// isPlainDelete tells whether op deletes one key, and no more.
func isPlainDelete(op kv.Op) bool {
	del := op.Delete
	return op.Range == nil && op.Put == nil && op.Txn == nil && !del.PrevKV &&
		kvjson.IsPoint(del.Range) && isRoutable(del.Start)
}

// isRoutable tells whether key fits into a path.
func isRoutable(key []byte) bool {
	return len(key) > 0 && len(key) <= kv.DefaultLimits.KeyBytesMax
}

func (c *Client) putKey(ctx context.Context, put *kv.PutRequest) (kv.TxnResponse, error) {
	call := &call{
		method: http.MethodPut, path: keyPath(put.Key), body: put.Value, writes: true,
	}
	if put.Lease != 0 {
		call.query = url.Values{"lease": {strconv.FormatInt(int64(put.Lease), 10)}}
	}
	got, err := c.do(ctx, call)
	if err != nil {
		return kv.TxnResponse{}, err
	}
	done := &kv.PutResponse{Version: got.number(kvjson.Version)}
	return lone(got, kv.Result{Put: done}), nil
}

func (c *Client) deleteKey(ctx context.Context, del *kv.DeleteRequest) (kv.TxnResponse, error) {
	call := &call{method: http.MethodDelete, path: keyPath(del.Start), writes: true}
	got, err := c.do(ctx, call)
	if got != nil && isKeyNotFound(got, err) {
		return lone(got, kv.Result{Delete: &kv.DeleteResponse{}}), nil
	}
	if err != nil {
		return kv.TxnResponse{}, err
	}
	return lone(got, kv.Result{Delete: &kv.DeleteResponse{Deleted: 1}}), nil
}

// lone is the answer to a transaction of one operation.
func lone(got *reply, result kv.Result) kv.TxnResponse {
	return kv.TxnResponse{
		Revision: got.revision(), Succeeded: true, Results: []kv.Result{result},
	}
}

// isKeyNotFound tells whether the answer is that there is no such key.
func isKeyNotFound(got *reply, err error) bool {
	return got.status == http.StatusNotFound && errors.Is(err, kv.ErrKeyNotFound)
}

// keyPath is the route of a key. Every slash is escaped, so the key is one
// segment, and so are dots where a proxy could take that for a direction.
func keyPath(key []byte) string {
	switch string(key) {
	case ".":
		return "/v1/kv/%2E"
	case "..":
		return "/v1/kv/%2E%2E"
	}
	return "/v1/kv/" + url.PathEscape(string(key))
}
