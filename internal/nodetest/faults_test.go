package nodetest

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

// resumeMax is how long writes may be interrupted by a leader's death.
const resumeMax = 2 * time.Second

// TestKilledProcesses kills leaders and followers in turn, under load.
func TestKilledProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("takes about 30 s")
	}
	c := startCluster(t, "b", "c")
	l := startLoad(c)
	late := watchLateness(t)
	var gaps, fair []time.Duration
	for i := range 16 {
		// The leaders of several shards, then a follower.
		victim := c.leader([]kv.ShardID{1, kv.SystemShard, 3, 1}[i%4])
		follower := i%4 == 3
		if follower {
			victim = (victim + 1) % 3
		}
		begin, before := time.Now(), late.now()
		c.kill(victim)
		c.writeEverywhere(begin)
		if !follower {
			gaps = append(gaps, time.Since(begin))
			fair = append(fair, late.since(begin, before))
		}
		c.start(victim)
		c.awaitReady(victim)
		c.awaitCaughtUp()
	}
	l.verify()
	c.check()
	slices.Sort(gaps)
	t.Logf("writes resumed after a leader's death in %v at the median, %v at most: %v",
		round(gaps[len(gaps)/2]), round(gaps[len(gaps)-1]), gaps)
	if most := slices.Max(fair); most > resumeMax {
		t.Errorf("writes resumed after %v, at most %v is allowed", most, resumeMax)
	}
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// TestStoppedProcesses stops each leader for longer than its lease and lets it
// go on: it must not believe that it still leads.
func TestStoppedProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("takes about 10 s")
	}
	c := startCluster(t, "b", "c")
	l := startLoad(c)
	for _, shard := range []kv.ShardID{1, kv.SystemShard, 2} {
		victim := c.leader(shard)
		begin := time.Now()
		c.signal(victim, syscall.SIGSTOP)
		c.writeEverywhere(begin)
		t.Logf("writes resumed %v after %s was stopped", round(time.Since(begin)),
			c.processes[victim].name)
		c.signal(victim, syscall.SIGCONT)
		c.awaitReady(victim)
		c.awaitCaughtUp()
	}
	l.verify()
	c.check()
}

// TestRestartOfAll kills all processes at once, and starts them again.
func TestRestartOfAll(t *testing.T) {
	if testing.Short() {
		t.Skip("takes about 5 s")
	}
	c := startCluster(t, "b", "c")
	l := startLoad(c)
	for range 3 {
		c.awaitProgress(l, 200)
		for i := range c.processes {
			c.kill(i)
		}
		begin := time.Now()
		for i := range c.processes {
			c.start(i)
		}
		c.writeEverywhere(begin)
		t.Logf("writes resumed %v after a restart of all", round(time.Since(begin)))
	}
	l.verify()
	c.check()
}

// writeEverywhere returns once a write in every shard, begun after begin, has
// succeeded.
func (c *cluster) writeEverywhere(begin time.Time) {
	c.t.Helper()
	for i := range writers {
		key := fmt.Appendf(nil, "%c/probe", 'a'+i)
		what := fmt.Sprintf("a write of %s since %v", key, begin)
		await(c.t, what, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			_, err := kv.Put(ctx, c.client, kv.PutRequest{Key: key})
			return err
		})
	}
}

// awaitCaughtUp waits until no replica lacks anything, so that the next death
// leaves a quorum that is up to date.
func (c *cluster) awaitCaughtUp() {
	c.t.Helper()
	await(c.t, "all replicas to catch up", func(ctx context.Context) error {
		led := map[kv.ShardID]bool{}
		for _, p := range c.processes {
			st, err := p.client.Status(ctx)
			if err != nil {
				return err
			}
			for _, s := range st.Shards {
				for _, r := range s.Replicas {
					led[s.ID] = true
					if r.Lag > 100 {
						return fmt.Errorf("shard %v on %v lags %d behind", s.ID, r.Node, r.Lag)
					}
				}
			}
		}
		if len(led) != 4 {
			return fmt.Errorf("only shards %v are led", led)
		}
		return nil
	})
}

// awaitProgress waits for n more acknowledged writes.
func (c *cluster) awaitProgress(l *load, n int) {
	c.t.Helper()
	count := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.written)
	}
	from := count()
	await(c.t, "progress", func(context.Context) error {
		if now := count(); now < from+n {
			return fmt.Errorf("%d writes of %d", now-from, n)
		}
		return nil
	})
}
