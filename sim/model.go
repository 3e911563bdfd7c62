package sim

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
)

// model is the reference: every version of every key, as the commits made
// them, and what a transaction or a range means on it. It shares no code
// with the core.
type model struct {
	// versions are those of a key, oldest first.
	versions map[string][]version
	keys     []string
}

type version struct {
	rev kv.Revision
	Write
}

func newModel(commits []Commit) *model {
	m := &model{versions: map[string][]version{}}
	for _, c := range commits {
		for _, w := range c.Writes {
			if _, ok := m.versions[w.Key]; !ok {
				m.keys = append(m.keys, w.Key)
			}
			m.versions[w.Key] = append(m.versions[w.Key], version{c.Revision, w})
		}
	}
	slices.Sort(m.keys)
	return m
}

// view is the state of the model at a revision, below the writes of a
// transaction of its own.
type view struct {
	model  *model
	at     kv.Revision
	rev    kv.Revision
	writes []Write
	// missing tells that a put kept a value or a lease of a key that is not there.
	missing bool
}

// get is the live version of a key.
func (v *view) get(key string) (kv.KeyValue, bool) {
	for _, w := range slices.Backward(v.writes) {
		if w.Key == key {
			return pairOf(w, v.rev), !w.Tombstone
		}
	}
	return v.model.get(key, v.at)
}

func (m *model) get(key string, at kv.Revision) (kv.KeyValue, bool) {
	list := m.versions[key]
	i, found := slices.BinarySearchFunc(list, at, func(a version, at kv.Revision) int {
		return cmp.Compare(a.rev, at)
	})
	if !found {
		i--
	}
	if i < 0 || list[i].Tombstone {
		return kv.KeyValue{}, false
	}
	return pairOf(list[i].Write, list[i].rev), true
}

func pairOf(w Write, rev kv.Revision) kv.KeyValue {
	return kv.KeyValue{
		Key: []byte(w.Key), Value: []byte(w.Value),
		CreateRevision: w.Create, ModRevision: rev, Version: w.Version, Lease: w.Lease,
	}
}

// scan is what is live in a range, ascending.
func (v *view) scan(r kv.Range) []kv.KeyValue {
	keys := v.model.keys
	for _, w := range v.writes {
		if !slices.Contains(keys, w.Key) {
			keys = append(keys[:len(keys):len(keys)], w.Key)
		}
	}
	var found []kv.KeyValue
	for _, key := range keys {
		if pair, live := v.get(key); live && r.Contains(pair.Key) {
			found = append(found, pair)
		}
	}
	slices.SortFunc(found, func(a, b kv.KeyValue) int { return bytes.Compare(a.Key, b.Key) })
	return found
}

// read answers a range request, but for its revision.
func (v *view) read(req *kv.RangeRequest) *kv.RangeResponse {
	if req.Revision != 0 {
		v = &view{model: v.model, at: req.Revision}
	}
	pairs := v.scan(req.Range)
	out := &kv.RangeResponse{}
	if req.WantCount || req.CountOnly {
		out.Count = int64(len(pairs))
	}
	if req.CountOnly {
		return out
	}
	if req.Reverse {
		slices.Reverse(pairs)
	}
	if req.KeysOnly {
		for i := range pairs {
			pairs[i].Value = nil
		}
	}
	fits := fitting(req, pairs)
	out.KVs, out.More = pairs[:fits], fits < len(pairs)
	return out
}

// fitting is how many pairs an answer may hold: the one with which it reaches its bound
// of bytes is the last.
func fitting(req *kv.RangeRequest, pairs []kv.KeyValue) int {
	bytes := 0
	for i, pair := range pairs {
		if req.Limit > 0 && i == req.Limit || req.BytesMax > 0 && bytes >= req.BytesMax {
			return i
		}
		bytes += len(pair.Key) + len(pair.Value)
	}
	return len(pairs)
}

// run carries out a transaction in the view and answers it, but for its own
// revision. Compares, of nested transactions too, are decided in the state before it.
func (v *view) run(txn *kv.TxnRequest) *kv.TxnResponse {
	out := &kv.TxnResponse{Succeeded: true}
	before := &view{model: v.model, at: v.at}
	for _, c := range txn.Compares {
		out.Succeeded = out.Succeeded && before.holds(c)
	}
	ops := txn.Success
	if !out.Succeeded {
		ops = txn.Failure
	}
	for _, op := range ops {
		out.Results = append(out.Results, v.do(op))
	}
	return out
}

func (v *view) do(op kv.Op) kv.Result {
	switch {
	case op.Put != nil:
		return kv.Result{Put: v.put(op.Put)}
	case op.Delete != nil:
		return kv.Result{Delete: v.delete(op.Delete)}
	case op.Txn != nil:
		return kv.Result{Txn: v.run(op.Txn)}
	}
	// What was read before the first write is the state before the transaction.
	found := v.read(op.Range)
	found.Revision = v.at
	if len(v.writes) > 0 {
		found.Revision = v.rev
	}
	return kv.Result{Range: found}
}

func (v *view) put(req *kv.PutRequest) *kv.PutResponse {
	w := Write{
		Sub: uint32(len(v.writes)), Key: string(req.Key), Value: string(req.Value),
		Create: v.rev, Version: 1, Lease: req.Lease,
	}
	prev, live := v.get(w.Key)
	out := &kv.PutResponse{}
	v.missing = v.missing || !live && (req.IgnoreLease || req.IgnoreValue)
	if live && req.IgnoreLease {
		w.Lease = prev.Lease
	}
	if live && req.IgnoreValue {
		w.Value = string(prev.Value)
	}
	if live {
		w.Create, w.Version = prev.CreateRevision, prev.Version+1
		if req.PrevKV {
			out.Prev = &prev
		}
	}
	v.writes = append(v.writes, w)
	out.Version = w.Version
	return out
}

func (v *view) delete(req *kv.DeleteRequest) *kv.DeleteResponse {
	out := &kv.DeleteResponse{}
	for _, pair := range v.scan(req.Range) {
		v.writes = append(v.writes, Write{
			Sub: uint32(len(v.writes)), Key: string(pair.Key), Tombstone: true,
		})
		out.Deleted++
		if req.PrevKV {
			out.Prev = append(out.Prev, pair)
		}
	}
	return out
}

// holds decides a compare: of a range, for each key of it, or if there is none as for
// one that is missing.
func (v *view) holds(c kv.Compare) bool {
	if len(c.RangeEnd) == 0 {
		pair, live := v.get(string(c.Key))
		return compares(&c, pair, live)
	}
	pairs := v.scan(c.Keys())
	for _, pair := range pairs {
		if !compares(&c, pair, true) {
			return false
		}
	}
	return len(pairs) > 0 || compares(&c, kv.KeyValue{}, false)
}

func compares(c *kv.Compare, pair kv.KeyValue, live bool) bool {
	number := int64(0)
	switch c.Target {
	case kv.CompareVersion:
		number = pair.Version
	case kv.CompareCreate:
		number = int64(pair.CreateRevision)
	case kv.CompareMod:
		number = int64(pair.ModRevision)
	case kv.CompareLease:
		number = int64(pair.Lease)
	case kv.CompareValue:
		return live && related(c.Relation, bytes.Compare(pair.Value, c.Value))
	}
	return related(c.Relation, cmp.Compare(number, c.Number))
}

func related(r kv.Relation, sign int) bool {
	switch r {
	case kv.Equal:
		return sign == 0
	case kv.NotEqual:
		return sign != 0
	case kv.Greater:
		return sign > 0
	}
	return sign < 0
}
