// Package memory is the storage engine of the simulator: everything lives in
// one process's memory, and a crash is a function call.
//
// It owns the engine.Engine on a copy-on-write tree, and the rules by which
// Crash forgets. It starts no goroutine and reads no clock, so the same calls
// always give the same state. The simulator and tests create it; a real node
// uses engine/pebble.
//
// Two trees share most of their nodes:
//
//	durable ──batch──batch──batch──▶ live
//	   ▲                                ▲
//	   DurableGet, Crash (and a         Get, iterators, snapshots
//	   random part of the batches)
//
// Invariants:
//
//  1. live is durable with all pending batches applied, in order.
//  2. A tree that an iterator or a snapshot holds never changes.
package memory

import (
	"sync"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/kv"
)

// pendingMax bounds the commits that a crash can lose. The oldest one over it
// becomes durable, as if the engine had flushed it on its own.
const pendingMax = 4096

// Engine is an engine.Engine in memory.
type Engine struct {
	mu      sync.RWMutex
	live    *tree
	durable *tree
	// pending holds the batches committed since durable, oldest first.
	pending [][]op
	// frozen is a copy of live that readers share; nil after a write.
	frozen *tree
	closed bool
}

var _ engine.Engine = (*Engine)(nil)

// New returns an empty engine.
func New() *Engine {
	live := newTree()
	return &Engine{live: live, durable: live.Copy()}
}

// Get implements engine.Reader.
func (e *Engine) Get(key []byte) ([]byte, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return get(e.live, key)
}

// SeekPrefix implements engine.Reader.
func (e *Engine) SeekPrefix(prefix, seek []byte) (key, value []byte, err error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return seekPrefix(e.live, prefix, seek)
}

// NewIter implements engine.Reader.
func (e *Engine) NewIter(lower, upper []byte) (engine.Iterator, error) {
	return newIter(e.freeze(), lower, upper), nil
}

// NewSnapshot implements engine.Engine.
func (e *Engine) NewSnapshot() engine.Snapshot {
	return &snapshot{tree: e.freeze()}
}

// NewBatch implements engine.Engine.
func (e *Engine) NewBatch() engine.Batch {
	return &batch{engine: e}
}

// NewIngest implements engine.Engine.
func (e *Engine) NewIngest(spans []engine.Span) (engine.Ingest, error) {
	order, err := engine.NewIngestOrder(spans)
	if err != nil {
		return nil, err
	}
	return &ingest{engine: e, order: order}, nil
}

// DiskUsage implements engine.Engine: there is no disk.
func (e *Engine) DiskUsage() (bytes, inUse int64) { return 0, 0 }

// IsBehind implements engine.Engine.
func (e *Engine) IsBehind() bool { return false }

// Metrics implements engine.Engine.
func (e *Engine) Metrics() map[string]float64 {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return map[string]float64{
		"keys":             float64(e.live.Len()),
		"unsynced_batches": float64(len(e.pending)),
	}
}

// Check implements engine.Engine: it verifies the order of the keys.
func (e *Engine) Check() error {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return checkOrder(e.live)
}

// Close implements engine.Engine. Later writes are refused with
// kv.ErrStopped; what was read stays valid.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	return nil
}

// freeze returns a tree that stays as live is now. Readers between two
// writes share it.
func (e *Engine) freeze() *tree {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.frozen == nil {
		e.frozen = e.live.Copy()
	}
	return e.frozen
}

// commit applies a batch and remembers it until it is durable.
func (e *Engine) commit(ops []op) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return kv.ErrStopped
	}
	e.frozen = nil
	apply(e.live, ops)
	e.pending = append(e.pending, ops)
	if len(e.pending) > pendingMax {
		apply(e.durable, e.pending[0])
		e.pending[0] = nil
		e.pending = e.pending[1:]
	}
	return nil
}

// snapshot is a frozen tree.
type snapshot struct {
	tree *tree
}

func (s *snapshot) Get(key []byte) ([]byte, error) {
	return get(s.tree, key)
}

func (s *snapshot) SeekPrefix(prefix, seek []byte) (key, value []byte, err error) {
	return seekPrefix(s.tree, prefix, seek)
}

func (s *snapshot) NewIter(lower, upper []byte) (engine.Iterator, error) {
	return newIter(s.tree, lower, upper), nil
}

func (s *snapshot) Close() error {
	return nil
}

// Reclaim implements engine.Engine. What is deleted here is gone.
func (e *Engine) Reclaim(engine.Span, int64) {}
