package kvfake

import (
	"bytes"
	"fmt"

	"github.com/miruvor/miruvor/internal/kv"
)

// checkShard returns kv.ErrCrossShard if req touches several shards.
func (s *Store) checkShard(req *kv.TxnRequest) error {
	if len(s.splits) == 0 {
		return nil
	}
	touched := touchedBy(req)
	for _, split := range s.splits {
		below, above := false, false
		for _, r := range touched {
			below = below || bytes.Compare(r.Start, split) < 0
			above = above || r.End == nil || bytes.Compare(r.End, split) > 0
		}
		if below && above {
			return fmt.Errorf("%w: there is a split at %q", kv.ErrCrossShard, split)
		}
	}
	return nil
}

// touchedBy lists what the compares and both branches look at or write.
func touchedBy(req *kv.TxnRequest) []kv.Range {
	var touched []kv.Range
	for _, c := range req.Compares {
		touched = append(touched, c.Keys())
	}
	for _, branch := range [...][]kv.Op{req.Success, req.Failure} {
		for _, op := range branch {
			switch {
			case op.Range != nil:
				touched = append(touched, op.Range.Range)
			case op.Put != nil:
				touched = append(touched, kv.PointRange(op.Put.Key))
			case op.Delete != nil:
				touched = append(touched, op.Delete.Range)
			case op.Txn != nil:
				touched = append(touched, touchedBy(op.Txn)...)
			}
		}
	}
	return touched
}
