package replica

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
)

func ringWrites(keys string) []mvcc.Write {
	var list []mvcc.Write
	for _, k := range keys {
		list = append(list, mvcc.Write{Key: []byte(string(k)), Value: make([]byte, 100)})
	}
	return list
}

func collected(g *ring, after, upTo kv.Revision, bytesMax int) string {
	list, to := g.collect(after, upTo, kv.Range{}, bytesMax, nil)
	var b strings.Builder
	for _, e := range list {
		fmt.Fprintf(&b, "%d.%d%s ", e.KV.ModRevision, e.Sub, e.KV.Key)
	}
	return fmt.Sprintf("%sup to %v", b.String(), to)
}

// A transaction over shards is applied below revisions that were applied before;
// it is found in its place.
func TestRingInAnyOrder(t *testing.T) {
	var g ring
	g.add(4, ringWrites("x"), nil) // nobody gathers yet
	g.start(5, 10_000)
	g.add(8, ringWrites("a"), nil)
	g.add(9, ringWrites("b"), nil)
	g.add(6, ringWrites("cd"), []uint32{3, 7})
	g.add(5, ringWrites("y"), nil) // what lies at the floor is not wanted
	g.add(7, ringWrites("e"), nil)
	for _, test := range []struct {
		after, upTo kv.Revision
		bytesMax    int
		want        string
	}{
		{5, 9, 10_000, "6.3c 6.7d 7.0e 8.0a 9.0b up to r9"},
		{5, 7, 10_000, "6.3c 6.7d 7.0e up to r7"},
		{6, 20, 10_000, "7.0e 8.0a 9.0b up to r20"},
		{5, 9, 1, "6.3c 6.7d up to r6"},
		{5, 9, 0, "6.3c 6.7d up to r6"},
		{9, 9, 10_000, "up to r9"},
	} {
		if got := collected(&g, test.after, test.upTo, test.bytesMax); got != test.want {
			t.Errorf("(%v, %v]: %s, want %s", test.after, test.upTo, got, test.want)
		}
	}
	if g.covers(4) || !g.covers(5) {
		t.Error("it covers what follows r5")
	}
}

// What does not fit is dropped from the lowest revision on, and the ring knows.
func TestRingIsBounded(t *testing.T) {
	var g ring
	g.start(1, 1000)
	for rev := kv.Revision(2); rev < 50; rev += 2 {
		g.add(rev, ringWrites("k"), nil)
		if rev%4 == 0 {
			g.add(rev-1, ringWrites("k"), nil)
		}
		if g.bytes > 1000 || g.covers(g.floor-1) {
			t.Fatalf("%d bytes, floor %v", g.bytes, g.floor)
		}
	}
	if want := "44.0k 46.0k 47.0k 48.0k up to r50"; collected(&g, g.floor, 50, 10_000) != want {
		t.Errorf("after %v: %s", g.floor, collected(&g, g.floor, 50, 10_000))
	}
	g.add(40, ringWrites("z"), nil)
	g.add(60, ringWrites("wwwwwwwwww"), nil) // alone more than the bound
	if len(g.changes) > 0 || g.bytes != 0 || g.covers(59) || !g.covers(60) {
		t.Errorf("%d changes, %d bytes, floor %v", len(g.changes), g.bytes, g.floor)
	}
}

// What a snapshot brings is in no ring: who lags behind it reads the history.
func TestRingBeginsAnewAfterASnapshot(t *testing.T) {
	var f feeds
	f.ring.start(5, 1000)
	f.applied(7, ringWrites("a"), nil)
	f.restored(20)
	if f.ring.covers(7) || f.ring.covers(19) || !f.ring.covers(20) || !f.fresh {
		t.Errorf("what lies below a snapshot is taken to be there: %+v", f.ring)
	}
	f.applied(21, ringWrites("b"), nil)
	if got := collected(&f.ring, 20, 30, 1000); got != "21.0b up to r30" {
		t.Error(got)
	}
}
