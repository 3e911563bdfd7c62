package memory

import "math/rand/v2"

// Flush implements engine.Engine.
func (e *Engine) Flush() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.makeDurable()
	return nil
}

// DurableGet implements engine.Engine.
func (e *Engine) DurableGet(key []byte) ([]byte, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return get(e.durable, key)
}

// Crash returns the engine that a power loss at this moment would leave: the
// durable state and a random number of the commits after it, oldest first.
// e is unchanged and independent of the result, in which everything is
// durable.
func (e *Engine) Crash(rng *rand.Rand) *Engine {
	e.mu.Lock()
	defer e.mu.Unlock()
	live := e.durable.Copy()
	for _, ops := range e.pending[:rng.IntN(len(e.pending)+1)] {
		apply(live, ops)
	}
	return &Engine{live: live, durable: live.Copy()}
}

// makeDurable ends the pending batches. The caller holds mu.
func (e *Engine) makeDurable() {
	e.durable = e.live.Copy()
	e.pending = nil
}
