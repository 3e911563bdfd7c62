package lease

import (
	"slices"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// A lease whose time is up can do nothing any more, though nobody has noticed.
func TestTimeIsUpAtTheDeadline(t *testing.T) {
	var l Lessor
	l.Lead(1)
	if _, err := l.Grant(0, 7, 10); err != nil {
		t.Fatal(err)
	}
	deadline := wire.Instant(10 * time.Second)
	if s := l.State(deadline-1, 7); s != Alive {
		t.Errorf("just before its time is up: %v", s)
	}
	if s := l.State(deadline, 7); s != Ending {
		t.Errorf("when its time is up: %v", s)
	}
}

// Records that were handed over do not change with the lease.
func TestRecordsStayAsTheyAre(t *testing.T) {
	var l Lessor
	l.Lead(1)
	if _, err := l.Grant(0, 7, 10); err != nil {
		t.Fatal(err)
	}
	for _, shard := range []kv.ShardID{5, 6, 7, 8, 9} {
		l.Attach(7, shard)
	}
	_, changes := l.Take()
	want := slices.Clone(changes[0].Record.Shards)
	l.Attach(7, 1)
	if got := changes[0].Record.Shards; !slices.Equal(got, want) {
		t.Errorf("shards %v have become %v", want, got)
	}
}
