package etcdapi

import (
	"iter"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/miruvor/miruvor/internal/kv"
)

// Numbers of fields in etcd's messages.
const (
	headerCluster  protowire.Number = 1
	headerMember   protowire.Number = 2
	headerRevision protowire.Number = 3
	headerTerm     protowire.Number = 4

	responseHeader   protowire.Number = 1
	responseWatch    protowire.Number = 2
	responseFragment protowire.Number = 7
	responseEvent    protowire.Number = 11

	eventType protowire.Number = 1
	eventKV   protowire.Number = 2
	eventPrev protowire.Number = 3

	kvKey     protowire.Number = 1
	kvCreate  protowire.Number = 2
	kvMod     protowire.Number = 3
	kvVersion protowire.Number = 4
	kvValue   protowire.Number = 5
	kvLease   protowire.Number = 6
)

// eventDeletion is mvccpb's type of a deletion; that of a put is 0.
const eventDeletion = 1

// eventsMessage is a WatchResponse with events, which are encoded already.
type eventsMessage struct {
	standing kv.Standing
	revision kv.Revision
	id       int64
	// more says that it is a part, and not the last.
	more   bool
	events []byte
}

// fragmentMarkBytes is what the mark of a part takes.
const fragmentMarkBytes = 2

// append appends the message.
func (m *eventsMessage) append(b []byte) []byte {
	st := &m.standing
	b = protowire.AppendTag(b, responseHeader, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(m.headerSize()))
	b = appendVarintField(b, headerCluster, uint64(st.Cluster))
	b = appendVarintField(b, headerMember, uint64(st.Node))
	b = appendVarintField(b, headerRevision, uint64(m.revision))
	b = appendVarintField(b, headerTerm, st.Term)
	b = appendVarintField(b, responseWatch, uint64(m.id))
	if m.more {
		b = appendVarintField(b, responseFragment, 1)
	}
	return append(b, m.events...)
}

func (m *eventsMessage) headerSize() int {
	st := &m.standing
	return varintFieldSize(headerCluster, uint64(st.Cluster)) +
		varintFieldSize(headerMember, uint64(st.Node)) +
		varintFieldSize(headerRevision, uint64(m.revision)) +
		varintFieldSize(headerTerm, st.Term)
}

// size is how much append appends.
func (m *eventsMessage) size() int {
	size := protowire.SizeTag(responseHeader) + protowire.SizeBytes(m.headerSize()) +
		varintFieldSize(responseWatch, uint64(m.id)) + len(m.events)
	if m.more {
		size += fragmentMarkBytes
	}
	return size
}

// fragments is the message if it stays below a size. Otherwise it is cut into
// parts that do, as far as they have more than one event. All but the last say
// that there is more.
func (m *eventsMessage) fragments(events []kv.Event, bytesMax int) iter.Seq[eventsMessage] {
	part, rest := *m, m.events
	part.more, part.events = true, nil
	head := part.size()
	return func(yield func(eventsMessage) bool) {
		if m.size() < bytesMax {
			yield(*m)
			return
		}
		for len(events) > 0 {
			n, size := 0, 0
			for n < len(events) {
				next := eventFieldSize(&events[n])
				if n > 0 && head+size+next >= bytesMax {
					break
				}
				n, size = n+1, size+next
			}
			events = events[n:]
			part.more, part.events = len(events) > 0, rest[:size:size]
			rest = rest[size:]
			if !yield(part) {
				return
			}
		}
	}
}

// encodeEvents encodes events as WatchResponse has them.
func encodeEvents(events []kv.Event) []byte {
	size := 0
	for i := range events {
		size += eventFieldSize(&events[i])
	}
	b := make([]byte, 0, size)
	for i := range events {
		b = appendEvent(b, &events[i])
	}
	return b
}

// eventFieldSize is the encoded size of an event and of what stands before it.
func eventFieldSize(e *kv.Event) int {
	return protowire.SizeTag(responseEvent) + protowire.SizeBytes(eventSize(e))
}

func eventSize(e *kv.Event) int {
	size := protowire.SizeTag(eventKV) + protowire.SizeBytes(keyValueSize(&e.KV))
	if e.Deleted {
		size += varintFieldSize(eventType, eventDeletion)
	}
	if e.Prev != nil {
		size += protowire.SizeTag(eventPrev) + protowire.SizeBytes(keyValueSize(e.Prev))
	}
	return size
}

func appendEvent(b []byte, e *kv.Event) []byte {
	b = protowire.AppendTag(b, responseEvent, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(eventSize(e)))
	if e.Deleted {
		b = appendVarintField(b, eventType, eventDeletion)
	}
	b = appendKeyValue(b, eventKV, &e.KV)
	if e.Prev != nil {
		b = appendKeyValue(b, eventPrev, e.Prev)
	}
	return b
}

func keyValueSize(v *kv.KeyValue) int {
	return bytesFieldSize(kvKey, v.Key) +
		varintFieldSize(kvCreate, uint64(v.CreateRevision)) +
		varintFieldSize(kvMod, uint64(v.ModRevision)) +
		varintFieldSize(kvVersion, uint64(v.Version)) +
		bytesFieldSize(kvValue, v.Value) +
		varintFieldSize(kvLease, uint64(v.Lease))
}

func appendKeyValue(b []byte, field protowire.Number, v *kv.KeyValue) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(keyValueSize(v)))
	b = appendBytesField(b, kvKey, v.Key)
	b = appendVarintField(b, kvCreate, uint64(v.CreateRevision))
	b = appendVarintField(b, kvMod, uint64(v.ModRevision))
	b = appendVarintField(b, kvVersion, uint64(v.Version))
	b = appendBytesField(b, kvValue, v.Value)
	return appendVarintField(b, kvLease, uint64(v.Lease))
}

// appendVarintField appends a number, unless it is 0.
func appendVarintField(b []byte, field protowire.Number, n uint64) []byte {
	if n == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), n)
}

func varintFieldSize(field protowire.Number, n uint64) int {
	if n == 0 {
		return 0
	}
	return protowire.SizeTag(field) + protowire.SizeVarint(n)
}

// appendBytesField appends bytes, unless there are none.
func appendBytesField(b []byte, field protowire.Number, value []byte) []byte {
	if len(value) == 0 {
		return b
	}
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), value)
}

func bytesFieldSize(field protowire.Number, value []byte) int {
	if len(value) == 0 {
		return 0
	}
	return protowire.SizeTag(field) + protowire.SizeBytes(len(value))
}
