package bench

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// progressPause lies between two reports of progress.
const progressPause = 200 * time.Millisecond

// Progress tells how far a load is.
type Progress struct {
	// Phase is "fill" or "measure".
	Phase string
	// Done of Total operations are over; if a time was set and no number,
	// Total is 0.
	Done, Total int64
	// Elapsed is the time since the phase began.
	Elapsed time.Duration
}

// Run puts the load on the targets. It calls progress, which may be nil, now
// and then from its own goroutine. When ctx ends early the report tells what
// was measured until then, and the error is that of ctx.
//
// Operations that fail are counted, not returned. Only when the keys cannot be
// put before the measurement the error says so. The config must be valid.
func Run(ctx context.Context, config Config, progress func(Progress)) (Report, error) {
	if progress == nil {
		progress = func(Progress) {}
	}
	if config.fills() {
		if err := fill(ctx, &config, progress); err != nil {
			return newReport(&config, new(newTally()), time.Second), err
		}
	}
	plan := measurement(&config)
	took := plan.run(ctx, progress)
	return newReport(&config, plan.merged(), took), ctx.Err()
}

// fillTries is how often it is tried to put a key before the measurement.
const fillTries = 5

// fill puts every key once.
func fill(ctx context.Context, config *Config, progress func(Progress)) error {
	p := newPhase("fill", config, int64(config.Keys))
	p.tries = fillTries
	p.choose = func(_ *client, turn int64) (bool, int) { return false, int(turn) }
	p.run(ctx, progress)
	if err := ctx.Err(); err != nil {
		return err
	}
	t := p.merged()
	if failed := int64(config.Keys) - t.puts.count; failed > 0 {
		return fmt.Errorf("the keys could not be put before the reads: %s", t.failures())
	}
	return nil
}

// failures lists the kinds of errors, the most frequent first.
func (t *tally) failures() string {
	kinds := slices.SortedFunc(maps.Keys(t.errors), func(a, b string) int {
		return cmp.Or(cmp.Compare(t.errors[b], t.errors[a]), cmp.Compare(a, b))
	})
	for i, kind := range kinds {
		kinds[i] = fmt.Sprintf("%s (%d times)", kind, t.errors[kind])
	}
	return strings.Join(kinds, ", ")
}

// measurement is the phase that counts.
func measurement(config *Config) *phase {
	p := newPhase("measure", config, config.Total)
	p.duration = config.Duration
	p.choose = func(c *client, _ int64) (bool, int) {
		return config.reads(c.random.Uint64()), c.random.IntN(config.Keys)
	}
	return p
}

// phase is a number of operations, or operations for a time, by all clients.
type phase struct {
	name    string
	clients []*client
	// total is how many operations there are, 0 for no bound.
	total    int64
	duration time.Duration
	// choose says what a client does in the given turn.
	choose func(c *client, turn int64) (read bool, key int)
	// tries is how often an operation is tried; with more than one, the phase
	// ends when an operation failed that often.
	tries  int
	failed atomic.Bool
	// turns counts the operations begun, done those over.
	turns, done atomic.Int64
	end         time.Time
}

func newPhase(name string, config *Config, total int64) *phase {
	noise := make([]byte, config.ValueBytes+4096)
	random := rand.New(rand.NewPCG(config.Seed, 0))
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	p := &phase{name: name, total: total, tries: 1}
	for i := range config.Clients {
		p.clients = append(p.clients, newClient(config, i, noise))
	}
	return p
}

// run returns how long it took once all clients are done.
func (p *phase) run(ctx context.Context, progress func(Progress)) time.Duration {
	begin := time.Now()
	if p.duration > 0 {
		p.end = begin.Add(p.duration)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		var wg sync.WaitGroup
		for _, c := range p.clients {
			wg.Go(func() { p.drive(ctx, c) })
		}
		wg.Wait()
	}()
	ticker := time.NewTicker(progressPause)
	defer ticker.Stop()
	for {
		progress(Progress{p.name, p.done.Load(), p.total, time.Since(begin)})
		select {
		case <-ticker.C:
		case <-over:
			progress(Progress{p.name, p.done.Load(), p.total, time.Since(begin)})
			return time.Since(begin)
		}
	}
}

// drive runs one client until the phase is over.
func (p *phase) drive(ctx context.Context, c *client) {
	defer c.hangUp()
	for ctx.Err() == nil && !p.failed.Load() {
		turn := p.turns.Add(1) - 1
		if p.total > 0 && turn >= p.total {
			return
		}
		if !p.end.IsZero() && time.Now().After(p.end) {
			return
		}
		read, key := p.choose(c, turn)
		ok := false
		for try := 0; try < p.tries && !ok && ctx.Err() == nil; try++ {
			ok = c.operate(ctx, read, key)
		}
		if !ok && p.tries > 1 {
			p.failed.Store(true)
		}
		p.done.Add(1)
	}
}

// merged is what all clients counted.
func (p *phase) merged() *tally {
	t := newTally()
	for _, c := range p.clients {
		t.merge(&c.tally)
	}
	return &t
}
