package kvjson

import (
	"encoding/json"
	"fmt"

	"github.com/miruvor/miruvor/internal/kv"
)

// Txn is a kv.TxnRequest as JSON:
//
//	{"compare":[{"key":"a","target":"mod_revision","op":"=","value":3}],
//	 "then":[{"put":{"key":"a","value":"1"}},{"get":{"prefix":"b/"}}],
//	 "else":[{"get":{"key":"a"}}]}
type Txn struct {
	Compare []Compare `json:"compare,omitempty"`
	Then    []Op      `json:"then,omitempty"`
	Else    []Op      `json:"else,omitempty"`
}

// Op is a kv.Op: exactly one member.
type Op struct {
	Get    *Get    `json:"get,omitempty"`
	Put    *Put    `json:"put,omitempty"`
	Delete *Delete `json:"delete,omitempty"`
	Txn    *Txn    `json:"txn,omitempty"`
}

// Get is a kv.RangeRequest inside a transaction.
type Get struct {
	Keys
	Limit     int         `json:"limit,omitempty"`
	BytesMax  int         `json:"bytes_max,omitempty"`
	Revision  kv.Revision `json:"revision,omitempty"`
	KeysOnly  bool        `json:"keys_only,omitempty"`
	CountOnly bool        `json:"count_only,omitempty"`
	Count     bool        `json:"count,omitempty"`
	Reverse   bool        `json:"reverse,omitempty"`
}

// Put is a kv.PutRequest. The value may only be missing if it is ignored.
type Put struct {
	Key         *string `json:"key,omitempty"`
	KeyBase64   *string `json:"key_base64,omitempty"`
	Value       *string `json:"value,omitempty"`
	ValueBase64 *string `json:"value_base64,omitempty"`
	Lease       LeaseID `json:"lease,omitempty"`
	Prev        bool    `json:"prev,omitempty"`
	IgnoreValue bool    `json:"ignore_value,omitempty"`
	IgnoreLease bool    `json:"ignore_lease,omitempty"`
}

// Delete is a kv.DeleteRequest.
type Delete struct {
	Keys
	Prev bool `json:"prev,omitempty"`
}

// NewTxn is req as JSON.
func NewTxn(req *kv.TxnRequest) *Txn {
	j := &Txn{Then: newOps(req.Success), Else: newOps(req.Failure)}
	for i := range req.Compares {
		j.Compare = append(j.Compare, newCompare(&req.Compares[i]))
	}
	return j
}

func newOps(ops []kv.Op) []Op {
	var list []Op
	for _, op := range ops {
		list = append(list, newOp(op))
	}
	return list
}

func newOp(op kv.Op) Op {
	var j Op
	if req := op.Range; req != nil {
		j.Get = &Get{
			Keys: keysOf(req.Range), Limit: req.Limit, BytesMax: req.BytesMax,
			Revision: req.Revision, KeysOnly: req.KeysOnly, CountOnly: req.CountOnly,
			Count: req.WantCount, Reverse: req.Reverse,
		}
	}
	if req := op.Put; req != nil {
		j.Put = &Put{
			Lease: LeaseID(req.Lease), Prev: req.PrevKV,
			IgnoreValue: req.IgnoreValue, IgnoreLease: req.IgnoreLease,
		}
		j.Put.Key, j.Put.KeyBase64 = encode(req.Key)
		if !req.IgnoreValue || len(req.Value) > 0 {
			j.Put.Value, j.Put.ValueBase64 = encode(req.Value)
		}
	}
	if req := op.Delete; req != nil {
		j.Delete = &Delete{Keys: keysOf(req.Range), Prev: req.PrevKV}
	}
	if op.Txn != nil {
		j.Txn = NewTxn(op.Txn)
	}
	return j
}

// Decode is the request that j stands for.
func (j *Txn) Decode() (kv.TxnRequest, error) {
	var req kv.TxnRequest
	for i := range j.Compare {
		c, err := j.Compare[i].Decode()
		if err != nil {
			return req, fmt.Errorf("compare %d: %w", i, err)
		}
		req.Compares = append(req.Compares, c)
	}
	var err error
	if req.Success, err = decodeOps("then", j.Then); err != nil {
		return req, err
	}
	req.Failure, err = decodeOps("else", j.Else)
	return req, err
}

func decodeOps(branch string, list []Op) ([]kv.Op, error) {
	var ops []kv.Op
	for i := range list {
		op, err := list[i].Decode()
		if err != nil {
			return nil, fmt.Errorf("%s %d: %w", branch, i, err)
		}
		ops = append(ops, op)
	}
	return ops, nil
}

// Decode is the operation that j stands for.
func (j *Op) Decode() (kv.Op, error) {
	var op kv.Op
	var err error
	if n := j.members(); n != 1 {
		return op, kv.Invalid(
			"an operation has %d of get, put, delete and txn, it must have one", n)
	}
	if j.Get != nil {
		if op.Range, err = j.Get.decode(); err != nil {
			return op, fmt.Errorf("get: %w", err)
		}
	}
	if j.Put != nil {
		if op.Put, err = j.Put.decode(); err != nil {
			return op, fmt.Errorf("put: %w", err)
		}
	}
	if j.Delete != nil {
		keys, err := j.Delete.Range()
		if err != nil {
			return op, fmt.Errorf("delete: %w", err)
		}
		op.Delete = &kv.DeleteRequest{Range: keys, PrevKV: j.Delete.Prev}
	}
	if j.Txn != nil {
		nested, err := j.Txn.Decode()
		if err != nil {
			return op, fmt.Errorf("txn: %w", err)
		}
		op.Txn = &nested
	}
	return op, nil
}

func (j *Op) members() int {
	n := 0
	for _, given := range [...]bool{
		j.Get != nil, j.Put != nil, j.Delete != nil, j.Txn != nil,
	} {
		if given {
			n++
		}
	}
	return n
}

func (j *Get) decode() (*kv.RangeRequest, error) {
	keys, err := j.Range()
	if err != nil {
		return nil, err
	}
	return &kv.RangeRequest{
		Range: keys, Limit: j.Limit, BytesMax: j.BytesMax, Revision: j.Revision,
		KeysOnly: j.KeysOnly, CountOnly: j.CountOnly, WantCount: j.Count, Reverse: j.Reverse,
	}, nil
}

func (j *Put) decode() (*kv.PutRequest, error) {
	key, err := decode("key", j.Key, j.KeyBase64)
	if err != nil {
		return nil, err
	}
	value, err := decode("value", j.Value, j.ValueBase64)
	if err != nil {
		return nil, err
	}
	if key == nil {
		return nil, kv.Invalid("key is missing")
	}
	if value == nil && !j.IgnoreValue {
		return nil, kv.Invalid("value is missing")
	}
	return &kv.PutRequest{
		Key: key, Value: value, Lease: kv.LeaseID(j.Lease), PrevKV: j.Prev,
		IgnoreValue: j.IgnoreValue, IgnoreLease: j.IgnoreLease,
	}, nil
}

// Marshal is j as bytes, <, > and & left as they are.
func (j *Txn) Marshal() ([]byte, error) {
	return json.Marshal(j)
}
