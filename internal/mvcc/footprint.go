package mvcc

import "github.com/miruvor/miruvor/internal/kv"

// Footprint is what req may look at and what it may write, in all branches, in
// no order. Ranges may overlap, also one of reads with one of writes. What
// reads at a revision of its own is not part of it: that is over.
func Footprint(req *kv.TxnRequest) (reads, writes []kv.Range) {
	f := footprint{}
	f.add(req)
	return f.reads, f.writes
}

type footprint struct{ reads, writes []kv.Range }

func (f *footprint) add(req *kv.TxnRequest) {
	for i := range req.Compares {
		f.reads = append(f.reads, req.Compares[i].Keys())
	}
	for _, ops := range [2][]kv.Op{req.Success, req.Failure} {
		for i := range ops {
			switch op := &ops[i]; {
			case op.Range != nil && op.Range.Revision == 0:
				f.reads = append(f.reads, op.Range.Range)
			case op.Put != nil:
				f.writes = append(f.writes, kv.PointRange(op.Put.Key))
			case op.Delete != nil:
				f.writes = append(f.writes, op.Delete.Range)
			case op.Txn != nil:
				f.add(op.Txn)
			}
		}
	}
}
