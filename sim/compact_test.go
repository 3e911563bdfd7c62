package sim

import (
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// compaction is an operation that compacts, answered at current, or with an error.
func compaction(rev, current kv.Revision, err error) *Op {
	op := &Op{Compact: &CompactOp{Revision: rev}, Err: err}
	if err == nil {
		op.Compact.Response = &wire.Compacted{Floor: rev, Current: current}
	}
	return op
}

// pastRead reads nothing at a revision, with current as the answer's, or an error.
func pastRead(rev, current kv.Revision, err error) *Op {
	op := &Op{Range: &kv.RangeRequest{Revision: rev}, Err: err}
	if err == nil {
		op.RangeResponse = &kv.RangeResponse{Revision: current}
	}
	return op
}

func TestCheckerOfCompactions(t *testing.T) {
	compacted, future := kv.ErrCompacted, kv.ErrFutureRevision
	unknown, refused := kv.ErrUncertain, kv.ErrTimeout
	for name, c := range map[string]struct {
		ops   []*Op
		sound bool
	}{
		"at the floor":     {[]*Op{compaction(5, 9, nil), pastRead(5, 9, nil)}, true},
		"below the floor":  {[]*Op{compaction(5, 9, nil), pastRead(4, 9, nil)}, false},
		"refused below":    {[]*Op{compaction(5, 9, nil), pastRead(4, 9, compacted)}, true},
		"refused at":       {[]*Op{compaction(5, 9, nil), pastRead(5, 9, compacted)}, false},
		"perhaps below":    {[]*Op{compaction(5, 9, unknown), pastRead(4, 9, nil)}, true},
		"perhaps refused":  {[]*Op{compaction(5, 9, unknown), pastRead(4, 9, compacted)}, true},
		"nothing happened": {[]*Op{compaction(5, 9, refused), pastRead(4, 9, compacted)}, false},
		"now":              {[]*Op{compaction(5, 9, nil), pastRead(0, 9, compacted)}, false},
		"told":             {[]*Op{compaction(5, 9, nil), pastRead(9, 9, future)}, false},
		"of the future":    {[]*Op{compaction(5, 9, nil), pastRead(10, 9, future)}, true},
		"twice":            {[]*Op{compaction(5, 9, nil), compaction(5, 9, nil)}, false},
		"twice, refused":   {[]*Op{compaction(5, 9, nil), compaction(5, 9, compacted)}, true},
		"once, refused":    {[]*Op{compaction(5, 9, nil), compaction(6, 9, compacted)}, false},
		"the current one":  {[]*Op{pastRead(0, 9, nil), compaction(9, 9, nil)}, true},
		"an old one":       {[]*Op{pastRead(0, 9, nil), compaction(5, 8, nil)}, false},
	} {
		h := &History{}
		for _, op := range c.ops {
			h.record(op, 0)
		}
		if err := h.Check(false); (err == nil) != c.sound {
			t.Errorf("%s: %v", name, err)
		}
	}
}
