package kvfake

import (
	"bytes"
	"cmp"
	"fmt"

	"github.com/miruvor/miruvor/internal/kv"
)

// plan is a transaction whose compares are decided: the branch that runs.
type plan struct {
	succeeded bool
	steps     []step
}

// step is an operation of a plan; nested is set if op is a transaction.
type step struct {
	op     kv.Op
	nested *plan
}

// decide evaluates the compares of req and of the nested transactions in the
// branches that will run, all of them before anything is written.
func (s *Store) decide(req *kv.TxnRequest) *plan {
	p := &plan{succeeded: true}
	for i := range req.Compares {
		p.succeeded = p.succeeded && s.holds(&req.Compares[i])
	}
	branch := req.Failure
	if p.succeeded {
		branch = req.Success
	}
	for _, op := range branch {
		next := step{op: op}
		if op.Txn != nil {
			next.nested = s.decide(op.Txn)
		}
		p.steps = append(p.steps, next)
	}
	return p
}

// holds tells whether the condition c is true of the store as it is.
func (s *Store) holds(c *kv.Compare) bool {
	found := s.history.scan(c.Keys(), s.revision)
	if len(found) == 0 {
		return c.Target != kv.CompareValue && holdsOf(c, &kv.KeyValue{})
	}
	for i := range found {
		if !holdsOf(c, &found[i]) {
			return false
		}
	}
	return true
}

func holdsOf(c *kv.Compare, of *kv.KeyValue) bool {
	var order int
	switch c.Target {
	case kv.CompareVersion:
		order = cmp.Compare(of.Version, c.Number)
	case kv.CompareCreate:
		order = cmp.Compare(int64(of.CreateRevision), c.Number)
	case kv.CompareMod:
		order = cmp.Compare(int64(of.ModRevision), c.Number)
	case kv.CompareValue:
		order = bytes.Compare(of.Value, c.Value)
	case kv.CompareLease:
		order = cmp.Compare(int64(of.Lease), c.Number)
	}
	switch c.Relation {
	case kv.Greater:
		return order > 0
	case kv.Less:
		return order < 0
	case kv.NotEqual:
		return order != 0
	}
	return order == 0
}

// checkPlan refuses what cannot be done, so that nothing is half done.
func (s *Store) checkPlan(p *plan) error {
	for _, step := range p.steps {
		if err := s.checkStep(step); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) checkStep(step step) error {
	switch {
	case step.nested != nil:
		return s.checkPlan(step.nested)
	case step.op.Range != nil:
		return s.checkRevision(step.op.Range.Revision)
	case step.op.Put != nil:
		return s.checkPut(step.op.Put)
	}
	return nil
}

func (s *Store) checkPut(put *kv.PutRequest) error {
	if put.Lease != 0 {
		if _, err := s.lease(put.Lease); err != nil {
			return err
		}
	}
	if put.IgnoreValue || put.IgnoreLease {
		if s.history.get(string(put.Key), s.revision) == nil {
			return fmt.Errorf("%w: %q has nothing to keep", kv.ErrKeyNotFound, put.Key)
		}
	}
	return nil
}

// execution runs a plan. The first write takes the next revision and all
// others share it.
type execution struct {
	store    *Store
	revision kv.Revision
}

// commit makes what was written current, and tells the watches.
func (e *execution) commit() {
	if e.revision == e.store.revision {
		return
	}
	e.store.revision = e.revision
	for stream := range e.store.streams {
		stream.deliver(e.store.history.since(e.revision))
	}
}

func (e *execution) write(v version) {
	e.revision = e.store.revision + 1
	v.ModRevision = e.revision
	if v.CreateRevision == 0 && !v.deleted {
		v.CreateRevision = e.revision
	}
	e.store.history.add(v)
}

func (e *execution) txn(p *plan) kv.TxnResponse {
	resp := kv.TxnResponse{Succeeded: p.succeeded}
	for _, step := range p.steps {
		resp.Results = append(resp.Results, e.step(step))
	}
	resp.Revision = e.revision
	return resp
}

func (e *execution) step(step step) kv.Result {
	switch op := step.op; {
	case op.Range != nil:
		resp := e.store.read(op.Range, e.revision)
		return kv.Result{Range: &resp}
	case op.Put != nil:
		return kv.Result{Put: e.put(op.Put)}
	case op.Delete != nil:
		return kv.Result{Delete: e.delete(op.Delete)}
	}
	resp := e.txn(step.nested)
	return kv.Result{Txn: &resp}
}

func (e *execution) put(req *kv.PutRequest) *kv.PutResponse {
	next := kv.KeyValue{Key: req.Key, Value: req.Value, Lease: req.Lease}
	resp := &kv.PutResponse{}
	if prev := e.store.history.get(string(req.Key), e.revision); prev != nil {
		next.CreateRevision = prev.CreateRevision
		next.Version = prev.Version
		if req.IgnoreValue {
			next.Value = prev.Value
		}
		if req.IgnoreLease {
			next.Lease = prev.Lease
		}
		if req.PrevKV {
			cloned := clone(*prev)
			resp.Prev = &cloned
		}
	}
	next.Version++
	e.write(version{KeyValue: clone(next)})
	resp.Version = next.Version
	return resp
}

func (e *execution) delete(req *kv.DeleteRequest) *kv.DeleteResponse {
	resp := &kv.DeleteResponse{}
	for _, prev := range e.store.history.scan(req.Range, e.revision) {
		resp.Deleted++
		if req.PrevKV {
			resp.Prev = append(resp.Prev, clone(prev))
		}
		e.write(version{KeyValue: kv.KeyValue{Key: bytes.Clone(prev.Key)}, deleted: true})
	}
	return resp
}
