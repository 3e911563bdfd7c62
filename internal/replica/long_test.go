package replica

import (
	"fmt"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/wire"
)

// A long read gives way after each part, so that ticks and heartbeats are not
// held up, and sees one revision nevertheless.
func TestLongReadsAreDoneInParts(t *testing.T) {
	bounds := DefaultBounds()
	bounds.PartKeysMax = 1_000
	c := newCluster(t, 1, bounds, ReadLease)
	defer c.close()
	n := c.node(1)
	n.input(func(r *Replica, _ *Output) { r.Campaign() })
	c.settle()
	const keys = 2*1_000 + 1
	load := func(from kv.Revision) {
		b := n.engine.NewBatch()
		for i := range kv.Revision(keys) {
			c.must(mvcc.Apply(b, nil, 1, from+i, []mvcc.Write{{
				Key: fmt.Appendf(nil, "%d %d", i, from), Value: []byte("v"),
				Create: from + i, Version: 1,
			}}))
		}
		c.must(b.Commit())
	}
	load(10)

	var out Output
	req := &wire.Request{Range: &wire.RangeAt{
		RangeRequest: kv.RangeRequest{CountOnly: true}, At: 10 + keys,
	}}
	n.replica.Submit(c.now, Origin{Node: 9, ID: 1}, req, &out)
	load(11 + keys)
	parts := 1
	for n.replica.Work(c.now, &out) {
		parts++
	}
	if parts != 3 || len(out.Answers) != 1 || out.Answers[0].Response.Range.Count != keys {
		t.Errorf("%d parts, answers %+v", parts, out.Answers)
	}

	// One that is under way when the leadership ends is sent on.
	out = Output{}
	n.replica.Submit(c.now, Origin{Node: 9, ID: 2}, req, &out)
	n.replica.stepDown(&out)
	if n.replica.Work(c.now, &out) || len(out.Answers) != 1 ||
		out.Answers[0].Response.Code != wire.CodeNotLeader {
		t.Errorf("after the leadership: %+v", out.Answers)
	}
}
