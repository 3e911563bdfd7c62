package mvcc

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/miruvor/miruvor/internal/kv"
)

// Evaluation is what a transaction comes to: its answer and its effect.
//
// The writes refer to bytes of the request, of the overlay and of each other;
// the answer shares nothing with them.
type Evaluation struct {
	// Response has no revisions of its own before SetRevision is called.
	Response kv.TxnResponse
	// Writes are in the order in which they happened, each key once.
	Writes []Write
	// own is the revision that Writes were evaluated with.
	own kv.Revision
	// unnumbered tells that a provisional revision may be left somewhere.
	unnumbered bool
}

// Evaluate runs a transaction in v. Its writes take the revision own, usually
// a provisional one that is above all in the overlay. In a view at a revision
// it must be read-only. It returns what View.Range returns, and
// kv.ErrKeyNotFound, kv.ErrDuplicateKey, kv.ErrInvalid, ErrPending and
// *InactiveLease. The request was validated before.
func Evaluate(v View, req *kv.TxnRequest, own kv.Revision) (Evaluation, error) {
	if v.At != 0 && !ReadOnly(req) {
		return Evaluation{}, kv.Invalid("a transaction that writes has no revision to read at")
	}
	e := getEvaluator(v, own)
	defer e.release()
	if err := e.decide(req); err != nil {
		return Evaluation{}, err
	}
	response, err := e.run(req)
	if err != nil {
		return Evaluation{}, err
	}
	return Evaluation{
		Response: response, Writes: e.effect.writes,
		own: own, unnumbered: e.unnumbered,
	}, nil
}

// evaluator runs one transaction.
type evaluator struct {
	layers
	view   View
	effect ownWrites
	last   lastPoint
	// path is the outcome of the compares of every transaction on the way,
	// in the order in which they run; step is how many have run.
	path       []bool
	step       int
	unnumbered bool
	buffers    scratch
}

var evaluators = sync.Pool{New: func() any { return new(evaluator) }}

func getEvaluator(v View, own kv.Revision) *evaluator {
	e := evaluators.Get().(*evaluator)
	e.view = v
	e.effect.rev = own
	e.layers = layers{
		own: &e.effect, overlay: v.Overlay, reader: v.Reader, recent: v.Recent,
		at: newest, last: &e.last, scratch: &e.buffers, budget: &e.buffers.budget,
	}
	e.buffers.budget = budget{most: v.BytesMax}
	if v.At != 0 {
		e.at = v.At
	}
	return e
}

func (e *evaluator) release() {
	if cap(e.buffers.key) > scratchBytesMax {
		return
	}
	order := e.effect.order[:0]
	*e = evaluator{path: e.path[:0], buffers: e.buffers}
	e.effect.order = order
	evaluators.Put(e)
}

// run executes the branch that decide chose.
func (e *evaluator) run(req *kv.TxnRequest) (kv.TxnResponse, error) {
	response := kv.TxnResponse{Succeeded: e.path[e.step]}
	e.step++
	ops := branch(req, response.Succeeded)
	if len(ops) > 0 {
		response.Results = make([]kv.Result, len(ops))
	}
	for i := range ops {
		if err := e.execute(&ops[i], &response.Results[i]); err != nil {
			return kv.TxnResponse{}, err
		}
	}
	response.Revision = e.revision()
	return response, nil
}

func branch(req *kv.TxnRequest, succeeded bool) []kv.Op {
	if succeeded {
		return req.Success
	}
	return req.Failure
}

func (e *evaluator) execute(op *kv.Op, result *kv.Result) error {
	switch {
	case op.Range != nil:
		return e.read(op.Range, result)
	case op.Put != nil:
		return e.put(op.Put, result)
	case op.Delete != nil:
		return e.delete(op.Delete, result)
	case op.Txn != nil:
		response, err := e.run(op.Txn)
		result.Txn = &response
		return err
	}
	return kv.Invalid("an operation is empty")
}

func (e *evaluator) read(req *kv.RangeRequest, result *kv.Result) error {
	response, err := e.view.readRange(req, e.layers)
	for i := range response.KVs {
		e.note(response.KVs[i].ModRevision)
	}
	response.Revision = e.revision()
	result.Range = &response
	return err
}

func (e *evaluator) put(req *kv.PutRequest, result *kv.Result) error {
	if err := e.hang(req.Key, req.Lease); err != nil {
		return err
	}
	prev, exists, err := e.live(req.Key)
	if err != nil {
		return err
	}
	if !exists && (req.IgnoreValue || req.IgnoreLease) {
		return fmt.Errorf("%w: %q is to keep its value or lease", kv.ErrKeyNotFound, req.Key)
	}
	w := Write{
		Key: req.Key, Value: req.Value, Lease: req.Lease,
		Create: e.effect.rev, Version: 1,
	}
	if exists {
		w.Create, w.Version, w.PrevLease = prev.Create, prev.Count+1, prev.Lease
	}
	if req.IgnoreValue {
		w.Value = prev.Value
	}
	if req.IgnoreLease {
		w.Lease = prev.Lease
		if err := e.hang(req.Key, w.Lease); err != nil {
			return err
		}
	}
	result.Put = &kv.PutResponse{Version: w.Version}
	if req.PrevKV && exists {
		if err := e.budget.spend(len(req.Key) + len(prev.Value)); err != nil {
			return err
		}
		old := e.previous(&prev)
		result.Put.Prev = &old
	}
	return e.write(w)
}

func (e *evaluator) delete(req *kv.DeleteRequest, result *kv.Result) error {
	result.Delete = &kv.DeleteResponse{}
	if req.IsPoint() {
		v, live, err := e.live(req.Start)
		if err != nil || !live {
			return err
		}
		w, err := e.doom(&v, req.PrevKV, result.Delete)
		if err != nil {
			return err
		}
		return e.write(w)
	}
	// All is read before anything is written: a scan does not go on over
	// writes that change under it.
	var writes []Write
	for v, err := range e.scan(req.Range, false) {
		if err != nil {
			return err
		}
		v.key = bytes.Clone(v.key)
		w, err := e.doom(&v, req.PrevKV, result.Delete)
		if err != nil {
			return err
		}
		writes = append(writes, w)
	}
	for _, w := range writes {
		if err := e.write(w); err != nil {
			return err
		}
	}
	return nil
}

// doom is the write that deletes v, which it counts.
func (e *evaluator) doom(
	v *version, prevKV bool, response *kv.DeleteResponse,
) (w Write, err error) {
	size := len(v.key)
	if prevKV {
		size += len(v.key) + len(v.Value)
	}
	if err := e.budget.spend(size); err != nil {
		return w, err
	}
	response.Deleted++
	if prevKV {
		response.Prev = append(response.Prev, e.previous(v))
	}
	return Write{Key: v.key, PrevLease: v.Lease, Tombstone: true}, nil
}

// revision marks a part of the answer until SetRevision: the transaction's own
// if it has written by now, else 0.
func (e *evaluator) revision() kv.Revision {
	if len(e.effect.writes) == 0 {
		return 0
	}
	return e.effect.rev
}

// previous is the version before, for an answer.
func (e *evaluator) previous(v *version) kv.KeyValue {
	e.note(v.mod)
	return v.keyValue()
}

func (e *evaluator) write(w Write) error {
	e.note(w.Create)
	return e.effect.add(w)
}

// note remembers whether a revision is still to be numbered. Because a key is
// created before it is modified, the ModRevision stands for both.
func (e *evaluator) note(rev kv.Revision) {
	e.unnumbered = e.unnumbered || IsProvisional(rev)
}
