package mvcc

import "github.com/miruvor/miruvor/internal/kv"

// ReadOnly reports whether no branch of req, nested ones included, puts or
// deletes.
func ReadOnly(req *kv.TxnRequest) bool {
	return !anyOp(req, func(op *kv.Op) bool { return op.Put != nil || op.Delete != nil })
}

// HasRevision reports whether some range in req, in any branch, names the
// revision to read at.
func HasRevision(req *kv.TxnRequest) bool {
	return anyOp(req, func(op *kv.Op) bool { return op.Range != nil && op.Range.Revision != 0 })
}

// anyOp reports whether an operation of any branch has a property.
func anyOp(req *kv.TxnRequest, has func(op *kv.Op) bool) bool {
	for _, ops := range [2][]kv.Op{req.Success, req.Failure} {
		for i := range ops {
			if has(&ops[i]) || ops[i].Txn != nil && anyOp(ops[i].Txn, has) {
				return true
			}
		}
	}
	return false
}

// Spans is every range of keys that req may read or write, in all branches,
// in no order; ranges may overlap.
func Spans(req *kv.TxnRequest) []kv.Range {
	return appendSpans(nil, req)
}

func appendSpans(spans []kv.Range, req *kv.TxnRequest) []kv.Range {
	for i := range req.Compares {
		spans = append(spans, req.Compares[i].Keys())
	}
	for _, ops := range [2][]kv.Op{req.Success, req.Failure} {
		for i := range ops {
			switch op := &ops[i]; {
			case op.Range != nil:
				spans = append(spans, op.Range.Range)
			case op.Put != nil:
				spans = append(spans, kv.PointRange(op.Put.Key))
			case op.Delete != nil:
				spans = append(spans, op.Delete.Range)
			case op.Txn != nil:
				spans = appendSpans(spans, op.Txn)
			}
		}
	}
	return spans
}
