package etcdapi

import (
	"sync/atomic"

	"google.golang.org/grpc/mem"

	"github.com/miruvor/miruvor/internal/kv"
)

// sharedEvents remembers how the last events were encoded, so that those that
// many watches are told of are encoded once, and kept once while their clients
// read slowly. The zero one remembers nothing. It is safe for concurrent use.
type sharedEvents struct {
	slots [sharedSlots]atomic.Pointer[encodedEvents]
}

const (
	// sharedSlots is how many responses are remembered.
	sharedSlots = 16
	// sharedBytesMax bounds each, so that much is not held for long.
	sharedBytesMax = 2 << 20
)

// encodedEvents are some events and their encoding. Events that the store
// tells to many watches are the same slice: it is known by its first element,
// which is not freed while somebody points to it.
type encodedEvents struct {
	events []kv.Event
	bytes  []byte
	tail   mem.Buffer
	// alone is what a watch was told that is the only one of its stream. Those
	// of other streams mostly have the same id.
	alone atomic.Pointer[aloneFrame]
}

type aloneFrame struct {
	message watchMessage
	frame   *frame
}

// encode encodes events, of which there are some.
func (s *sharedEvents) encode(events []kv.Event) *encodedEvents {
	first := &events[0]
	slot := &s.slots[first.KV.ModRevision%sharedSlots]
	if e := slot.Load(); e != nil && &e.events[0] == first && len(e.events) == len(events) {
		return e
	}
	e := &encodedEvents{events: events, bytes: encodeEvents(events)}
	e.tail = mem.SliceBuffer(e.bytes)
	if len(e.bytes) <= sharedBytesMax {
		slot.Store(e)
	}
	return e
}

// frame is a message with the events. If its watch is alone, it may be that of
// another stream.
func (e *encodedEvents) frame(m *watchMessage, alone bool) *frame {
	if !alone {
		return m.part(e.tail, false)
	}
	known := e.alone.Load()
	if known == nil || known.message != *m {
		known = &aloneFrame{*m, m.part(e.tail, false)}
		e.alone.Store(known)
	}
	return known.frame
}
