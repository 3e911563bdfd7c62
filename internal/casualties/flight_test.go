package casualties

import (
	"errors"
	"slices"
	"time"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/wire"
)

// flight is a snapshot on its way, of a life of its sender.
type flight struct {
	replica.Stream
	from, to *host
	boot     int
}

// fly lands all snapshots that are under way, and reports whether there were any.
func (st *stage) fly() bool {
	if st.grounded || len(st.flights) == 0 {
		return false
	}
	flights := st.flights
	st.flights = nil
	for _, f := range flights {
		st.land(f)
	}
	return true
}

// awaitFlight waits until a snapshot is on its way.
func (st *stage) awaitFlight() {
	st.until("a snapshot to be sent", 10*time.Second, func() bool { return len(st.flights) > 0 })
}

// land brings a snapshot to its receiver, and tells the sender what came of it.
func (st *stage) land(f *flight) {
	st.flights = slices.DeleteFunc(st.flights, func(o *flight) bool { return o == f })
	ok := f.to.runs() && f.to.worker != nil && !st.cut[link{f.from.id, f.to.id}]
	if ok {
		ok = f.restore() == nil
	}
	st.must(f.View.Close())
	if f.from.boot == f.boot && f.from.worker != nil {
		f.from.worker.Sent(&f.Header, ok)
	}
}

// ground ends the flights of a node that dies.
func (st *stage) ground(h *host) {
	st.flights = slices.DeleteFunc(st.flights, func(f *flight) bool {
		if f.from == h {
			st.must(f.View.Close())
		}
		return f.from == h
	})
}

// restore hands the snapshot over; the error tells why it was refused.
func (f *flight) restore() error {
	st := f.from.st
	head, err := wire.DecodeSnapshotHeader(wire.AppendSnapshotHeader(nil, &f.Header))
	st.must(err)
	if err := f.to.worker.Offer(&head); err != nil {
		return err
	}
	desc, err := placement.DecodeDescriptor(head.Descriptor)
	st.must(err)
	var spans []engine.Span
	for _, s := range keyspace.Spans(head.Shard, desc.Range()) {
		spans = append(spans, engine.Span(s))
	}
	in, err := f.to.engine.NewIngest(spans)
	st.must(err)
	for _, s := range spans {
		it, err := f.View.NewIter(s.Start, s.End)
		st.must(err)
		for ok := it.First(); ok; ok = it.Next() {
			st.must(in.Add(it.Key(), it.Value()))
		}
		st.must(errors.Join(it.Error(), it.Close()))
	}
	return f.to.worker.Restore(f.to.now(), &head, in)
}
