package memory

import (
	"errors"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/kv"
)

var errIngestUsed = errors.New("memory: ingest was already committed or aborted")

// ingest implements engine.Ingest.
type ingest struct {
	engine *Engine
	order  *engine.IngestOrder
	ops    []op
	used   bool
}

func (i *ingest) Add(key, value []byte) error {
	if i.used {
		return errIngestUsed
	}
	if err := i.order.Next(key); err != nil {
		return err
	}
	i.ops = append(i.ops, newOp(opSet, key, value))
	return nil
}

func (i *ingest) Commit() error {
	if i.used {
		return errIngestUsed
	}
	i.used = true
	return i.engine.replace(i.order.Spans(), i.ops)
}

func (i *ingest) Abort() error {
	i.used = true
	i.ops = nil
	return nil
}

// replace deletes spans, applies ops and makes everything durable.
func (e *Engine) replace(spans []engine.Span, ops []op) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return kv.ErrStopped
	}
	e.frozen = nil
	for _, s := range spans {
		deleteRange(e.live, s.Start, s.End)
	}
	apply(e.live, ops)
	e.makeDurable()
	return nil
}
