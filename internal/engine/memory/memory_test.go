package memory

import (
	"errors"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/engine/enginetest"
	"github.com/miruvor/miruvor/internal/kv"
)

func TestConformance(t *testing.T) {
	enginetest.Run(t, enginetest.Subject{
		Open: func(*testing.T) engine.Engine { return New() },
		Crash: func(_ *testing.T, e engine.Engine, rng *rand.Rand) engine.Engine {
			return e.(*Engine).Crash(rng)
		},
	})
}

// count commits the numbers of [from, to) to one key, one after another.
func count(t *testing.T, e *Engine, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		b := e.NewBatch()
		err := b.Set([]byte("n"), strconv.AppendInt(nil, int64(i), 10))
		if err := errors.Join(err, b.Commit()); err != nil {
			t.Fatal(err)
		}
	}
}

// number reads what count wrote, -1 for nothing.
func number(t *testing.T, get func(key []byte) ([]byte, error)) int {
	t.Helper()
	value, err := get([]byte("n"))
	if errors.Is(err, engine.ErrNotFound) {
		return -1
	}
	n, err := strconv.Atoi(string(value))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestOldCommitsBecomeDurable(t *testing.T) {
	e := New()
	count(t, e, 0, pendingMax)
	if got := number(t, e.DurableGet); got != -1 {
		t.Errorf("commit %d is durable, want none yet", got)
	}
	count(t, e, pendingMax, pendingMax+10)
	if got := number(t, e.DurableGet); got != 9 {
		t.Errorf("commit %d is durable, want 9", got)
	}
	if got := e.Metrics()["unsynced_batches"]; got != pendingMax {
		t.Errorf("%v batches are pending", got)
	}
	if err := e.Check(); err != nil {
		t.Error(err)
	}
}

func TestCrashReachesEveryPrefix(t *testing.T) {
	e := New()
	count(t, e, 0, 4)
	seen := map[int]bool{}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 100 {
		left := e.Crash(rng)
		seen[number(t, left.Get)] = true
		count(t, left, 10, 20)
	}
	if len(seen) != 5 || number(t, e.Get) != 3 {
		t.Errorf("crashes left %v; the engine itself is at %d", seen, number(t, e.Get))
	}
}

func TestCrashRepeats(t *testing.T) {
	run := func() (out []int) {
		e, rng := New(), rand.New(rand.NewPCG(7, 7))
		for i := range 20 {
			count(t, e, 100*i, 100*i+50)
			e = e.Crash(rng)
			out = append(out, number(t, e.Get))
		}
		return out
	}
	a, b := run(), run()
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("crash %d left %d, then %d with the same seed", i, a[i], b[i])
		}
	}
}

func TestClosed(t *testing.T) {
	e := New()
	in, err := e.NewIngest([]engine.Span{{Start: []byte("a"), End: []byte("b")}})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	b := e.NewBatch()
	if err := errors.Join(b.Set([]byte("a"), nil), b.Commit()); !errors.Is(err, kv.ErrStopped) {
		t.Errorf("a commit after Close gave %v", err)
	}
	if err := in.Commit(); !errors.Is(err, kv.ErrStopped) {
		t.Errorf("an ingest after Close gave %v", err)
	}
}

func TestCheckFindsDisorder(t *testing.T) {
	e := New()
	count(t, e, 0, 1)
	b := e.NewBatch()
	if err := errors.Join(b.Set([]byte("o"), nil), b.Commit()); err != nil {
		t.Fatal(err)
	}
	p, _ := e.live.Get(pair{key: []byte("n")})
	p.key[0] = 'z'
	if err := e.Check(); !errors.Is(err, kv.ErrCorrupt) {
		t.Errorf("Check found %v", err)
	}
}
