package enginetest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/miruvor/miruvor/internal/engine"
)

// wantDurable checks one key by DurableGet; want "" means that there is none.
func wantDurable(t *testing.T, e engine.Engine, key, want string) {
	t.Helper()
	got, err := e.DurableGet([]byte(key))
	if want == "" {
		wantError(t, err, engine.ErrNotFound)
		return
	}
	noError(t, err)
	if string(got) != want {
		t.Fatalf("DurableGet(%q) = %q, want %q", key, got, want)
	}
}

func testFlush(t *testing.T, s Subject) {
	e := s.open(t)
	rng := newRand(1)
	noError(t, e.Flush())
	wantDurable(t, e, "a", "")
	set(t, e, "a", "1", "b", "1")
	noError(t, e.Flush())
	wantDurable(t, e, "a", "1")
	set(t, e, "a", "2")
	commit(t, e, func(b engine.Batch) { noError(t, b.Delete([]byte("b"))) })
	noError(t, e.Flush())
	wantDurable(t, e, "a", "2")
	wantDurable(t, e, "b", "")
	noError(t, e.Flush())
	left := s.crash(t, e, rng)
	wantAll(t, left, "a=2")
	wantDurable(t, left, "a", "2")
	wantDurable(t, left, "b", "")

	set(t, left, "a", "left")
	noError(t, left.Flush())
	set(t, e, "b", "3")
	noError(t, e.Flush())
	wantAll(t, left, "a=left")
	wantAll(t, e, "a=2", "b=3")
	wantDurable(t, e, "a", "2")
}

func testIngestIsDurable(t *testing.T, s Subject) {
	for _, size := range []int{1, 1 << 20} {
		checkIngestIsDurable(t, s, size, "b", "1", "f", "1") // in the spans
		checkIngestIsDurable(t, s, size)
	}
}

// checkIngestIsDurable ingests over some pairs, beside a commit that was not
// flushed and has to survive too.
func checkIngestIsDurable(t *testing.T, s Subject, size int, replaced ...string) {
	t.Helper()
	rng := newRand(2)
	e := s.open(t)
	value := strings.Repeat("x", size)
	set(t, e, append(replaced, "a", "1")...)
	in := newIngest(t, e, []engine.Span{span("b", "c"), span("d", "e"), span("f", "g")})
	noError(t, in.Add([]byte("b1"), []byte(value)))
	noError(t, in.Add([]byte("d"), []byte("2")))

	for _, key := range []string{"b1", "d"} {
		wantGet(t, s.crash(t, e, rng), key, "")
	}
	noError(t, in.Commit())
	wantDurable(t, e, "a", "1")
	wantDurable(t, e, "d", "2")
	wantDurable(t, e, "f", "")
	for range 3 {
		left := s.crash(t, e, rng)
		wantAll(t, left, "a=1", "b1="+value, "d=2")
		noError(t, left.Check())
	}
}

// testCrashLeavesPrefix crashes an engine over and over, between commits,
// flushes and ingests, and goes on with what is left.
func testCrashLeavesPrefix(t *testing.T, s Subject) {
	for seed := range uint64(4) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			rng := newRand(seed)
			h := &history{states: []model{{}}}
			e := s.Open(t)
			for range 8 {
				for range rng.IntN(60) {
					h.step(t, e, rng)
				}
				floor := h.durable(t, e)
				left := s.Crash(t, e, rng)
				noError(t, e.Close())
				e = left
				h.recover(t, e, floor)
			}
			noError(t, e.Close())
		})
	}
}

// counterKey holds the number of the last commit in every state.
const counterKey = "counter"

// history is the states that a crash may leave, oldest first: the last
// durable one and those after it.
type history struct {
	first  int // number of states[0]
	states []model
}

func (h *history) last() int {
	return h.first + len(h.states) - 1
}

// step commits once, or flushes.
func (h *history) step(t *testing.T, e engine.Engine, rng *rand.Rand) {
	t.Helper()
	number := strconv.Itoa(h.last() + 1)
	next := h.states[len(h.states)-1].clone()
	next.set(counterKey, number)
	switch rng.IntN(12) {
	case 0:
		noError(t, e.Flush())
		h.durableNow()
	case 1:
		spans := []engine.Span{span(counterKey, counterKey+"~"), span("k2", "k3"), span("k5", "k7")}
		in := newIngest(t, e, spans, counterKey, number, "k2"+number, "in", "k6"+number, "in")
		next.deleteRange("k2", "k3")
		next.deleteRange("k5", "k7")
		next.set("k2"+number, "in")
		next.set("k6"+number, "in")
		noError(t, in.Commit())
		h.states = append(h.states, next)
		h.durableNow()
	default:
		b := e.NewBatch()
		noError(t, b.Set([]byte(counterKey), []byte(number)))
		for range 1 + rng.IntN(4) {
			randomWrite(t, b, next, rng)
		}
		noError(t, b.Commit())
		h.states = append(h.states, next)
	}
}

func randomWrite(t *testing.T, b engine.Batch, m model, rng *rand.Rand) {
	t.Helper()
	key := fmt.Sprintf("k%d%d", rng.IntN(10), rng.IntN(10))
	switch rng.IntN(6) {
	case 0:
		m.delete(key)
		noError(t, b.Delete([]byte(key)))
	case 1:
		m.deleteRange(key, key+"5")
		noError(t, b.DeleteRange([]byte(key), []byte(key+"5")))
	default:
		value := bytes.Repeat([]byte{byte('a' + rng.IntN(26))}, rng.IntN(8<<10))
		m.set(key, string(value))
		noError(t, b.Set([]byte(key), value))
	}
}

// durableNow forgets the states that a crash can't leave any more.
func (h *history) durableNow() {
	h.first = h.last()
	h.states = h.states[len(h.states)-1:]
}

// durable returns the number of the state that e claims to be durable.
func (h *history) durable(t *testing.T, e engine.Engine) int {
	t.Helper()
	value, err := e.DurableGet([]byte(counterKey))
	if errors.Is(err, engine.ErrNotFound) {
		return 0
	}
	noError(t, err)
	number, err := strconv.Atoi(string(value))
	noError(t, err)
	if number < h.first {
		t.Fatalf("DurableGet is at commit %d, but %d was flushed", number, h.first)
	}
	return number
}

// recover finds the state that e is in after a crash; none before floor will
// do. It becomes the only state.
func (h *history) recover(t *testing.T, e engine.Engine, floor int) {
	t.Helper()
	noError(t, e.Check())
	number := 0
	if value, err := e.Get([]byte(counterKey)); err == nil {
		number, err = strconv.Atoi(string(value))
		noError(t, err)
	}
	if number < max(h.first, floor) || number > h.last() {
		t.Fatalf("the crash left commit %d of [%d, %d], %d was shown as durable",
			number, h.first, h.last(), floor)
	}
	state := h.states[number-h.first]
	state.wantEqual(t, e)
	h.first, h.states = number, []model{state}
}

func testReopen(t *testing.T, s Subject) {
	if s.Reopen == nil {
		t.Skip("this engine keeps nothing after Close")
	}
	e := s.Open(t)
	set(t, e, "a", "1")
	noError(t, e.Flush())
	set(t, e, "b", "2")
	noError(t, newIngest(t, e, []engine.Span{span("c", "d")}, "c", "3").Commit())
	set(t, e, "d", "4")
	e = s.Reopen(t, e)
	wantAll(t, e, "a=1", "b=2", "c=3", "d=4")
	e = s.Reopen(t, e)
	wantAll(t, e, "a=1", "b=2", "c=3", "d=4")
	noError(t, e.Check())
	noError(t, e.Close())
}
