package worker

import (
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// TestAutoCompaction lets a cluster write one revision each second, and tells what is
// compacted when, in seconds.
func TestAutoCompaction(t *testing.T) {
	type due struct {
		at  time.Duration
		rev kv.Revision
	}
	for _, c := range []struct {
		name string
		cfg  AutoCompaction
		end  time.Duration
		want []due
	}{
		{"off", AutoCompaction{}, 10 * time.Hour, nil},
		{
			"ten minutes",
			AutoCompaction{Retention: 10 * time.Minute},
			31 * time.Minute,
			[]due{{10 * time.Minute, 0}, {20 * time.Minute, 600}, {30 * time.Minute, 1200}},
		},
		{
			"three hours, every hour",
			AutoCompaction{Retention: 3 * time.Hour},
			5*time.Hour + 1,
			[]due{{3 * time.Hour, 0}, {4 * time.Hour, 3600}, {5 * time.Hour, 7200}},
		},
		{
			"the last 500",
			AutoCompaction{Revisions: 500},
			15*time.Minute + 1,
			[]due{{10 * time.Minute, 100}, {15 * time.Minute, 400}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := autoCompactor{cfg: c.cfg}
			start := wire.Instant(7 * time.Hour)
			var found []due
			for at := time.Duration(0); at < c.end; at += time.Second {
				now := start + wire.Instant(at)
				if rev, ok := a.look(now, kv.Revision(at/time.Second)); ok {
					found = append(found, due{at, rev})
					a.done(now)
				}
			}
			if len(found) != len(c.want) {
				t.Fatalf("compacted at %v, want %v", found, c.want)
			}
			for i := range found {
				if found[i] != c.want[i] {
					t.Errorf("compacted at %v, want %v", found, c.want)
				}
			}
		})
	}
}

// A compaction that does not come about is tried again soon, at a later revision.
func TestAutoCompactionTriesAgain(t *testing.T) {
	a := autoCompactor{cfg: AutoCompaction{Retention: time.Hour}}
	var at []time.Duration
	for now := time.Duration(0); now < 90*time.Minute; now += time.Second {
		if _, ok := a.look(wire.Instant(now), kv.Revision(now/time.Second)); ok {
			at = append(at, now)
		}
	}
	if len(at) != 5 || at[0] != time.Hour || at[1] != 66*time.Minute {
		t.Errorf("tried at %v", at)
	}
	if n := len(a.samples); n > 12 {
		t.Errorf("%d samples are kept", n)
	}
}
