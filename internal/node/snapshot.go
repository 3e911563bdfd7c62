package node

import (
	"errors"
	"fmt"
	"iter"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/transport"
	"github.com/miruvor/miruvor/internal/wire"
	"github.com/miruvor/miruvor/internal/worker"
)

// stream sends a snapshot on a goroutine of its own, a few at a time.
func (n *Node) stream(t *thread, s replica.Stream) {
	n.running.Go(func() {
		err := n.sendSnapshot(&s)
		if err != nil {
			n.log.Warn("snapshot not sent", "shard", s.Header.Shard, "to", s.To, "error", err)
		}
		t.inbox.put(event{run: func(_ wire.Instant, w *worker.Worker) {
			w.Sent(&s.Header, err == nil)
		}})
	})
}

func (n *Node) sendSnapshot(s *replica.Stream) (err error) {
	defer func() { err = errors.Join(err, s.View.Close()) }()
	select {
	case n.streams <- struct{}{}:
		defer func() { <-n.streams }()
	case <-n.stopping.Done():
		return kv.ErrStopped
	}
	return n.transport.SendSnapshot(n.stopping, s.To, s.Header, snapshotPairs(s))
}

// snapshotPairs walks a shard's spans in order. A pair is valid until the next
// step.
func snapshotPairs(s *replica.Stream) iter.Seq2[transport.Pair, error] {
	return func(yield func(transport.Pair, error) bool) {
		for _, span := range keyspace.Spans(s.Header.Shard, s.Range) {
			if !yieldSpan(s.View, span, yield) {
				return
			}
		}
	}
}

func yieldSpan(
	r engine.Reader, span keyspace.Span, yield func(transport.Pair, error) bool,
) (goOn bool) {
	it, err := r.NewIter(span.Start, span.End)
	if err != nil {
		return yield(transport.Pair{}, err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		if !yield(transport.Pair{Key: it.Key(), Value: it.Value()}, nil) {
			_ = it.Close() // whoever ranges has given up already
			return false
		}
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return yield(transport.Pair{}, err)
	}
	return true
}

// receiveSnapshot takes a shard's state in beside the one that is in use, and
// hands it to the worker when all of it is there.
func (n *Node) receiveSnapshot(
	h *wire.SnapshotHeader, pairs iter.Seq2[transport.Pair, error],
) error {
	threads := n.threads.get()
	if len(threads) == 0 {
		return kv.ErrNotReady
	}
	t := threads[worker.Place{Count: len(threads)}.Of(h.Shard)]
	offer := kv.ErrStopped
	t.call(func(_ wire.Instant, w *worker.Worker) { offer = w.Offer(h) })
	if offer != nil {
		return offer
	}
	in, err := n.gather(h, pairs)
	if err != nil {
		return err
	}
	restored := kv.ErrStopped
	if !t.call(func(now wire.Instant, w *worker.Worker) { restored = w.Restore(now, h, in) }) {
		return errors.Join(kv.ErrStopped, in.Abort())
	}
	return restored
}

// gather collects the pairs of a snapshot.
func (n *Node) gather(
	h *wire.SnapshotHeader, pairs iter.Seq2[transport.Pair, error],
) (engine.Ingest, error) {
	desc, err := placement.DecodeDescriptor(h.Descriptor)
	if err != nil {
		return nil, err
	}
	var spans []engine.Span
	for _, s := range keyspace.Spans(h.Shard, desc.Range()) {
		spans = append(spans, engine.Span{Start: s.Start, End: s.End})
	}
	in, err := n.engine.NewIngest(spans)
	if err != nil {
		return nil, err
	}
	for p, err := range pairs {
		if err == nil {
			err = in.Add(p.Key, p.Value)
		}
		if err != nil {
			err = fmt.Errorf("snapshot of shard %v: %w", h.Shard, err)
			return nil, errors.Join(err, in.Abort())
		}
	}
	return in, nil
}
