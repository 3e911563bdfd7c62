package mvcc

import (
	"bytes"
	"cmp"
	"math/rand/v2"
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
)

// model is etcd's store in the simplest form that could be right: every state
// there ever was, as a sorted list.
type model struct {
	// states[i] is the state at revision i; states[0] and [1] are empty.
	states [][]kv.KeyValue
}

func newModel() *model {
	return &model{states: make([][]kv.KeyValue, 2)}
}

func (m *model) current() kv.Revision {
	return kv.Revision(len(m.states) - 1)
}

// txn runs req as the next revision. Nothing is kept if it writes nothing or
// fails.
func (m *model) txn(req *kv.TxnRequest) (kv.TxnResponse, error) {
	t := modelTxn{m: m, state: slices.Clone(m.states[m.current()]), own: m.current() + 1}
	resp, err := t.run(req, t.decide(req))
	if err != nil {
		return kv.TxnResponse{}, err
	}
	resp.Revision = m.current()
	if t.wrote {
		m.states = append(m.states, t.state)
		resp.Revision = t.own
	}
	return resp, nil
}

func find(state []kv.KeyValue, r kv.Range) []kv.KeyValue {
	var found []kv.KeyValue
	for _, v := range state {
		if r.Contains(v.Key) {
			found = append(found, v)
		}
	}
	return found
}

// read is a range over one state.
func read(state []kv.KeyValue, req *kv.RangeRequest) kv.RangeResponse {
	found := find(state, req.Range)
	var resp kv.RangeResponse
	if req.CountOnly || req.WantCount {
		resp.Count = int64(len(found))
	}
	if req.CountOnly {
		return resp
	}
	if req.Reverse {
		slices.Reverse(found)
	}
	size := 0
	for _, v := range found {
		full := (req.Limit > 0 && len(resp.KVs) == req.Limit) ||
			(req.BytesMax > 0 && size >= req.BytesMax)
		if full {
			resp.More = true
			break
		}
		if req.KeysOnly {
			v.Value = nil
		}
		size += len(v.Key) + len(v.Value)
		resp.KVs = append(resp.KVs, v)
	}
	return resp
}

type modelTxn struct {
	m     *model
	state []kv.KeyValue
	own   kv.Revision
	wrote bool
}

// modelPath is the outcome of a transaction's compares, and by operation
// those of the transactions inside the branch that runs.
type modelPath struct {
	ok     bool
	nested map[int]modelPath
}

func (t *modelTxn) decide(req *kv.TxnRequest) modelPath {
	path := modelPath{ok: true, nested: map[int]modelPath{}}
	for _, c := range req.Compares {
		path.ok = path.ok && t.compare(c)
	}
	for i, op := range branch(req, path.ok) {
		if op.Txn != nil {
			path.nested[i] = t.decide(op.Txn)
		}
	}
	return path
}

func (t *modelTxn) compare(c kv.Compare) bool {
	found := find(t.state, c.Keys())
	if len(found) == 0 {
		if c.Target == kv.CompareValue {
			return false
		}
		found = []kv.KeyValue{{}}
	}
	for _, v := range found {
		sign := map[kv.Target]int{
			kv.CompareVersion: cmp.Compare(v.Version, c.Number),
			kv.CompareCreate:  cmp.Compare(int64(v.CreateRevision), c.Number),
			kv.CompareMod:     cmp.Compare(int64(v.ModRevision), c.Number),
			kv.CompareValue:   bytes.Compare(v.Value, c.Value),
			kv.CompareLease:   cmp.Compare(int64(v.Lease), c.Number),
		}[c.Target]
		ok := map[kv.Relation]bool{
			kv.Equal: sign == 0, kv.NotEqual: sign != 0, kv.Less: sign < 0, kv.Greater: sign > 0,
		}[c.Relation]
		if !ok {
			return false
		}
	}
	return true
}

func (t *modelTxn) run(req *kv.TxnRequest, path modelPath) (kv.TxnResponse, error) {
	resp := kv.TxnResponse{Succeeded: path.ok}
	for i, op := range branch(req, path.ok) {
		var result kv.Result
		var err error
		switch {
		case op.Range != nil:
			result.Range, err = t.read(op.Range)
		case op.Put != nil:
			result.Put, err = t.put(op.Put)
		case op.Delete != nil:
			result.Delete = t.delete(op.Delete)
		case op.Txn != nil:
			var nested kv.TxnResponse
			nested, err = t.run(op.Txn, path.nested[i])
			result.Txn = &nested
		}
		if err != nil {
			return kv.TxnResponse{}, err
		}
		resp.Results = append(resp.Results, result)
	}
	resp.Revision = t.revision()
	return resp, nil
}

func (t *modelTxn) revision() kv.Revision {
	if t.wrote {
		return t.own
	}
	return t.own - 1
}

func (t *modelTxn) read(req *kv.RangeRequest) (*kv.RangeResponse, error) {
	state := t.state
	if req.Revision != 0 {
		if req.Revision >= t.own {
			return nil, kv.ErrFutureRevision
		}
		state = t.m.states[req.Revision]
	}
	resp := read(state, req)
	resp.Revision = t.revision()
	return &resp, nil
}

func (t *modelTxn) put(req *kv.PutRequest) (*kv.PutResponse, error) {
	i, exists := slices.BinarySearchFunc(t.state, req.Key, func(v kv.KeyValue, key []byte) int {
		return bytes.Compare(v.Key, key)
	})
	if !exists && (req.IgnoreLease || req.IgnoreValue) {
		return nil, kv.ErrKeyNotFound
	}
	resp := &kv.PutResponse{}
	next := kv.KeyValue{
		Key: req.Key, Value: req.Value, Lease: req.Lease, CreateRevision: t.own,
	}
	if exists {
		prev := t.state[i]
		next.CreateRevision, next.Version = prev.CreateRevision, prev.Version
		if req.IgnoreValue {
			next.Value = prev.Value
		}
		if req.IgnoreLease {
			next.Lease = prev.Lease
		}
		if req.PrevKV {
			resp.Prev = &prev
		}
		t.state = slices.Delete(t.state, i, i+1)
	}
	next.ModRevision, next.Version, t.wrote = t.own, next.Version+1, true
	resp.Version = next.Version
	t.state = slices.Insert(t.state, i, next)
	return resp, nil
}

func (t *modelTxn) delete(req *kv.DeleteRequest) *kv.DeleteResponse {
	resp := &kv.DeleteResponse{}
	var left []kv.KeyValue
	for _, v := range t.state {
		if !req.Contains(v.Key) {
			left = append(left, v)
			continue
		}
		resp.Deleted++
		t.wrote = true
		if req.PrevKV {
			resp.Prev = append(resp.Prev, v)
		}
	}
	t.state = left
	return resp
}

// generator makes random requests over few keys, so that they meet.
type generator struct {
	*rand.Rand
	current kv.Revision
}

func (g *generator) oneIn(n int) bool { return g.IntN(n) == 0 }

func (g *generator) key() []byte {
	return [][]byte{
		[]byte("a"), []byte("a\x00"), []byte("ab"), []byte("b"), []byte("b\x00\x01"),
		[]byte("b\xff"), []byte("c"), []byte("d"), []byte("\x00"), []byte("\xff\xff"),
	}[g.IntN(10)]
}

func (g *generator) keys() kv.Range {
	switch g.IntN(4) {
	case 0:
		return kv.PointRange(g.key())
	case 1:
		return kv.Range{Start: g.key()}
	case 2:
		return kv.Range{End: g.key()}
	}
	a, b := g.key(), g.key()
	if bytes.Compare(a, b) > 0 && !g.oneIn(4) {
		a, b = b, a
	}
	return kv.Range{Start: a, End: b}
}

func (g *generator) txn(depth int) *kv.TxnRequest {
	req := &kv.TxnRequest{}
	if g.oneIn(2) {
		for range g.IntN(3) {
			req.Compares = append(req.Compares, g.compare())
		}
	}
	for range 1 + g.IntN(3) {
		req.Success = append(req.Success, g.op(depth))
	}
	for range g.IntN(3) {
		req.Failure = append(req.Failure, g.op(depth))
	}
	return req
}

func (g *generator) compare() kv.Compare {
	c := kv.Compare{
		Key: g.key(), Target: kv.Target(g.IntN(5)), Relation: kv.Relation(g.IntN(4)),
		Number: g.Int64N(3), Value: []byte{'u' + byte(g.IntN(4))},
	}
	if c.Target == kv.CompareCreate || c.Target == kv.CompareMod {
		c.Number = max(0, int64(g.current)+3-g.Int64N(10))
	}
	if g.oneIn(3) {
		c.RangeEnd = [][]byte{{0}, g.key(), []byte("zz")}[g.IntN(3)]
	}
	return c
}

func (g *generator) op(depth int) kv.Op {
	switch n := g.IntN(10); {
	case n < 4:
		put := &kv.PutRequest{Key: g.key(), PrevKV: g.oneIn(2)}
		if put.IgnoreValue = g.oneIn(5); !put.IgnoreValue {
			put.Value = bytes.Repeat([]byte{'u' + byte(g.IntN(4))}, g.IntN(4))
		}
		if put.IgnoreLease = g.oneIn(5); !put.IgnoreLease {
			put.Lease = kv.LeaseID(g.Int64N(3))
		}
		return kv.Op{Put: put}
	case n < 6:
		return kv.Op{Delete: &kv.DeleteRequest{Range: g.keys(), PrevKV: g.oneIn(2)}}
	case n < 8 && depth > 0:
		return kv.Op{Txn: g.txn(depth - 1)}
	}
	return kv.Op{Range: g.read()}
}

func (g *generator) read() *kv.RangeRequest {
	req := &kv.RangeRequest{
		Range: g.keys(), Reverse: g.oneIn(3), KeysOnly: g.oneIn(4),
		CountOnly: g.oneIn(6), WantCount: g.oneIn(3),
	}
	if g.oneIn(2) {
		req.Limit = g.IntN(4)
	}
	if g.oneIn(4) {
		req.BytesMax = g.IntN(12)
	}
	if g.oneIn(4) {
		req.Revision = 1 + kv.Revision(g.Int64N(int64(g.current)+1))
	}
	return req
}
