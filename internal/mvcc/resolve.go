package mvcc

import "github.com/miruvor/miruvor/internal/kv"

// Resolve puts real revisions in the place of provisional ones, in the writes
// and in the answer, as far as number knows them; the others stay for the
// next time. It costs nothing when none are left.
func (e *Evaluation) Resolve(number func(seq uint64) (rev kv.Revision, known bool)) {
	if !e.unnumbered {
		return
	}
	r := resolver{number: number}
	for i := range e.Writes {
		r.revision(&e.Writes[i].Create)
	}
	r.results(e.Response.Results)
	e.unnumbered = r.left
}

// SetRevision sets the revisions of the answer, and of the answers inside it.
// rev is the transaction's own, or if it wrote nothing, what it read at. What
// was read before the first write of a transaction was the state at rev-1.
// It is called once.
func (e *Evaluation) SetRevision(rev kv.Revision) {
	before := rev
	if len(e.Writes) > 0 {
		before = rev - 1
	}
	e.Response.Revision = rev
	e.setRevisions(e.Response.Results, before, rev)
}

func (e *Evaluation) setRevisions(results []kv.Result, before, after kv.Revision) {
	set := func(rev *kv.Revision) {
		if *rev == e.own && e.own != 0 {
			*rev = after
			return
		}
		*rev = before
	}
	for i := range results {
		switch result := &results[i]; {
		case result.Range != nil:
			set(&result.Range.Revision)
		case result.Txn != nil:
			set(&result.Txn.Revision)
			e.setRevisions(result.Txn.Results, before, after)
		}
	}
}

// resolver walks everything that may hold a provisional revision.
type resolver struct {
	number func(seq uint64) (kv.Revision, bool)
	// left tells that a number was not known.
	left bool
}

func (r *resolver) revision(rev *kv.Revision) {
	if !IsProvisional(*rev) {
		return
	}
	number, known := r.number(ProvisionalSeq(*rev))
	if !known {
		r.left = true
		return
	}
	*rev = number
}

func (r *resolver) keyValue(v *kv.KeyValue) {
	r.revision(&v.CreateRevision)
	r.revision(&v.ModRevision)
}

func (r *resolver) keyValues(vs []kv.KeyValue) {
	for i := range vs {
		r.keyValue(&vs[i])
	}
}

func (r *resolver) results(results []kv.Result) {
	for i := range results {
		switch result := &results[i]; {
		case result.Range != nil:
			r.keyValues(result.Range.KVs)
		case result.Put != nil && result.Put.Prev != nil:
			r.keyValue(result.Put.Prev)
		case result.Delete != nil:
			r.keyValues(result.Delete.Prev)
		case result.Txn != nil:
			r.results(result.Txn.Results)
		}
	}
}
