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
	// sharedBytesMin and sharedBytesMax bound the sizes worth remembering:
	// little is encoded faster than looked up, and much is not held for long.
	sharedBytesMin = 1 << 10
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
func (s *sharedEvents) encode(events []kv.Event) []byte {
	first := &events[0]
	slot := &s.slots[first.KV.ModRevision%sharedSlots]
	if e := slot.Load(); e != nil && e.first == first && e.count == len(events) {
		return e.bytes
	}
	bytes := encodeEvents(events)
	if len(bytes) >= sharedBytesMin && len(bytes) <= sharedBytesMax {
		slot.Store(&encodedEvents{first, len(events), bytes})
	}
	return bytes
}
