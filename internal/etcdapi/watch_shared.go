package etcdapi

import (
	"sync/atomic"

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
	first *kv.Event
	count int
	bytes []byte
}

// encode encodes events, of which there are some. The result is not to be
// changed.
func (s *sharedEvents) encode(events []kv.Event) *encodedEvents {
	first := &events[0]
	slot := &s.slots[first.KV.ModRevision%sharedSlots]
	if e := slot.Load(); e != nil && e.first == first && e.count == len(events) {
		return e
	}
	e := &encodedEvents{first, len(events), encodeEvents(events)}
	if len(e.bytes) <= sharedBytesMax {
		slot.Store(e)
	}
	return e
}
