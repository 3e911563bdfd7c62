package sim

import (
	"errors"
	"time"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/wire"
)

// stream is a snapshot on its way from one node to another. It is offered,
// read, carried and restored as separate events, and may fail at each.
type stream struct {
	c      *cluster
	from   *thread
	to     *node
	stream replica.Stream
	head   wire.SnapshotHeader
	pairs  []pair
	// life is the receiver's when the stream began; over tells that it ended.
	life int
	over bool
}

type pair struct{ key, value []byte }

// begin offers the snapshot to the receiver.
func (s *stream) begin() {
	data := wire.AppendSnapshotHeader(nil, &s.stream.Header)
	head, err := wire.DecodeSnapshotHeader(data)
	if err != nil {
		s.c.failf("snapshot header does not decode: %v", err)
	}
	s.head = head
	meta := head.Msg.GetSnapshot().GetMetadata()
	s.from.node.note("stream", uint64(s.to.id), meta.GetIndex())
	s.life = s.to.boot
	s.c.probe.streamed(s)
	s.watch()
	s.travel(time.Millisecond, func(t *thread) {
		t.post(input{call: func(now wire.Instant) {
			if err := t.worker.Offer(&s.head); err != nil {
				s.c.trace.sayf("%v refuses a snapshot: %v", t.node.id, err)
				s.end(false)
				return
			}
			s.read()
		}})
	})
}

// watch ends the stream if the receiver dies, as a broken connection would.
func (s *stream) watch() {
	s.c.after(100*time.Millisecond, func() {
		switch {
		case s.over:
		case s.to.boot != s.life:
			s.end(false)
		default:
			s.watch()
		}
	})
}

// read collects what the frozen state holds in the shard's spans.
func (s *stream) read() {
	for _, span := range keyspace.Spans(s.head.Shard, s.stream.Range) {
		if err := s.readSpan(engine.Span(span)); err != nil {
			s.c.failf("read a snapshot: %v", err)
		}
	}
	s.travel(time.Duration(len(s.pairs))*20*time.Microsecond, func(t *thread) {
		t.post(input{call: func(now wire.Instant) { s.restore(now, t) }})
	})
}

func (s *stream) readSpan(span engine.Span) error {
	it, err := s.stream.View.NewIter(span.Start, span.End)
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		s.pairs = append(s.pairs, pair{
			append([]byte(nil), it.Key()...), append([]byte(nil), it.Value()...),
		})
	}
	return errors.Join(it.Error(), it.Close())
}

// restore hands all pairs to the receiver's worker.
func (s *stream) restore(now wire.Instant, t *thread) {
	desc, err := placement.DecodeDescriptor(s.head.Descriptor)
	if err != nil {
		s.c.failf("snapshot descriptor: %v", err)
	}
	var spans []engine.Span
	for _, span := range keyspace.Spans(s.head.Shard, desc.Range()) {
		spans = append(spans, engine.Span(span))
	}
	in, err := t.node.engine.NewIngest(spans)
	if err != nil {
		s.c.failf("begin an ingest: %v", err)
	}
	for _, p := range s.pairs {
		if err := in.Add(p.key, p.value); err != nil {
			s.c.failf("add to an ingest: %v", err)
		}
	}
	err = t.worker.Restore(now, &s.head, in)
	if err != nil {
		s.c.trace.sayf("%v does not restore: %v", t.node.id, err)
	}
	s.c.probe.restored(s)
	t.node.note("restore", uint64(s.head.Shard), uint64(len(s.pairs)))
	s.end(err == nil)
}

// travel goes on at the receiver after a while, or ends the stream.
func (s *stream) travel(d time.Duration, next func(t *thread)) {
	l := link{s.from.node.id, s.to.id}
	failed := s.c.chance(s.c.cfg.Faults.StreamFailure) && !s.c.healed
	d = s.c.around(d)
	if s.c.chance(s.c.cfg.Faults.StreamSlow) && !s.c.healed {
		d += s.c.between(0, time.Second)
	}
	s.c.after(s.c.network.delay(l)+d, func() {
		if failed {
			s.c.probe.struck(FaultStream)
		}
		if failed || s.c.network.cut[l] || !s.to.serves() {
			s.end(false)
			return
		}
		next(s.to.threadOf(s.head.Shard))
	})
}

// end tells the sender. What the receiver says may get lost on its way.
func (s *stream) end(ok bool) {
	if s.over {
		return
	}
	s.over = true
	s.c.probe.streamEnded(s)
	s.c.trace.sayf("%v → %v the snapshot of %v ends: %v", s.from.node.id, s.to.id, s.head.Shard, ok)
	back := link{s.to.id, s.from.node.id}
	lost := s.c.network.cut[back]
	s.from.node.after(s.c.network.delay(back), func() {
		if err := s.stream.View.Close(); err != nil {
			s.c.failf("close a snapshot: %v", err)
		}
		s.from.post(input{call: func(wire.Instant) {
			s.from.worker.Sent(&s.stream.Header, ok && !lost)
		}})
	})
}

// shardOf is the shard that a message is for, and whether it is for one.
func shardOf(m *wire.Message) (kv.ShardID, bool) {
	switch {
	case m.Raft != nil:
		return m.Raft.Shard, true
	case m.Request != nil:
		return m.Request.Shard, true
	}
	return 0, false
}
