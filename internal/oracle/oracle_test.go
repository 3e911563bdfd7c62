package oracle

import (
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// lead brings an oracle to serve above mark.
func lead(mark kv.Revision) (o *Oracle, committed kv.Revision) {
	o = new(Oracle)
	committed = o.Lead(mark)
	o.Committed(committed)
	return o, committed
}

func TestNothingIsServedBeforeTheMarkIsCommitted(t *testing.T) {
	var o Oracle
	if _, ok := o.Take(1); ok {
		t.Error("a follower hands out revisions")
	}
	mark := o.Lead(1)
	if _, ok := o.Take(0); ok || mark <= 1 {
		t.Errorf("serves before its mark %v is committed", mark)
	}
	o.Committed(mark)
	if base, ok := o.Take(2); !ok || base != 2 {
		t.Errorf("first base is %v, %v", base, ok)
	}
	if base, ok := o.Take(0); !ok || base-1 != 3 {
		t.Errorf("the last one handed out is %v", base-1)
	}
}

// Whatever was handed out, a successor begins above it: it inherits the
// last mark that was committed.
func TestTermsNeverOverlap(t *testing.T) {
	mark := kv.FirstRevision
	highest := kv.FirstRevision
	for term := range 20 {
		o, committed := lead(mark)
		mark = committed
		for i := range 3000 {
			base, ok := o.Take(uint32(i%3 + 1))
			if ok {
				if base <= highest {
					t.Fatalf("term %d hands out %v after %v", term, base, highest)
				}
				highest = base + kv.Revision(i%3)
			}
			if next, ok := o.Extend(0); ok {
				if i%2 == 0 { // else the leader dies with it on the way
					mark = next
					o.Committed(next)
				} else if i%5 == 0 {
					break
				} else {
					o.Dropped()
				}
			}
			if highest > mark {
				t.Fatalf("term %d handed out %v above the mark %v", term, highest, mark)
			}
		}
	}
}

func TestReleaseLeavesNoGap(t *testing.T) {
	o, _ := lead(1)
	o.Take(41)
	exact, ok := o.Release()
	if !ok || exact != 42 {
		t.Fatalf("released %v, %v", exact, ok)
	}
	if _, ok := o.Take(1); ok {
		t.Error("hands out after the release")
	}
	o.Committed(exact)
	if _, ok := o.Take(1); ok {
		t.Error("hands out after the release was committed")
	}
	next, _ := lead(exact)
	if base, _ := next.Take(1); base != 43 {
		t.Errorf("the successor begins at %v", base)
	}
}

func TestClientSharesOneAnswer(t *testing.T) {
	var c Client
	var got []kv.Revision
	lost := 0
	want := func(count uint32) {
		c.Add(Demand{
			Count:   count,
			Granted: func(_ wire.Instant, base kv.Revision) { got = append(got, base) },
			Lost:    func(wire.Instant) { lost++ },
		})
	}
	want(2)
	want(0)
	want(3)
	if n, ok := c.Next(); !ok || n != 5 {
		t.Fatalf("asks for %d, %v", n, ok)
	}
	c.Sent(7, 100)
	c.Answer(200, 7, 10)
	c.Answer(200, 7, 50) // a duplicate
	if len(got) != 3 || got[0] != 10 || got[1] != 12 || got[2] != 12 {
		t.Errorf("granted %v", got)
	}
	for id := range uint64(pipelineMax) {
		want(1)
		c.Sent(id+10, 300)
	}
	want(1)
	if _, ok := c.Next(); ok || c.Room() {
		t.Error("the pipeline has no bound")
	}
	if n := c.Expire(401, 100); n != pipelineMax || lost != pipelineMax {
		t.Errorf("expired %d, lost %d", n, lost)
	}
	c.Answer(400, 10, 99) // too late
	if len(got) != 3 {
		t.Errorf("an answer that was given up is granted: %v", got)
	}
}

// The oracle refuses requests that are too large, so many needs become several.
func TestClientSplitsWhatIsTooMuch(t *testing.T) {
	var c Client
	var got []kv.Revision
	for range 3 {
		c.Add(Demand{
			Count:   requestMax/2 + 1,
			Granted: func(_ wire.Instant, base kv.Revision) { got = append(got, base) },
		})
	}
	for id := uint64(1); id <= 3; id++ {
		n, ok := c.Next()
		if !ok || n != requestMax/2+1 {
			t.Fatalf("asks for %d, %v", n, ok)
		}
		c.Sent(id, 1)
		c.Answer(2, id, kv.Revision(100*id))
	}
	if _, ok := c.Next(); ok || len(got) != 3 || got[2] != 300 {
		t.Errorf("granted %v", got)
	}
}
