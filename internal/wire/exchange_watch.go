package wire

import (
	"math"

	"github.com/miruvor/miruvor/internal/kv"
)

const (
	feedFeed     = 1<<2 | kindUint
	feedAfter    = 2<<2 | kindUint
	feedWant     = 3<<2 | kindUint
	feedStart    = 4<<2 | kindBytes
	feedEnd      = 5<<2 | kindBytes
	feedPrevKV   = 6<<2 | kindUint
	feedBytesMax = 7<<2 | kindUint

	fedUpTo      = 1<<2 | kindUint
	fedEvents    = 2<<2 | kindList
	fedCompacted = 3<<2 | kindUint

	fedEventKV      = 1<<2 | kindStruct
	fedEventPrev    = 2<<2 | kindStruct
	fedEventDeleted = 3<<2 | kindUint
	fedEventSub     = 4<<2 | kindUint

	// What the shortest element takes: an event always has its key-value.
	fedEventSizeMin = 2 + keyValueSizeMin

	closeRevision = 1<<2 | kindUint

	closedRevision = 1<<2 | kindUint
	closedIndex    = 2<<2 | kindUint
)

func appendFeed(buf []byte, q *Feed) []byte {
	buf = appendUint(buf, feedFeed, q.Feed)
	buf = appendUint(buf, feedAfter, uint64(q.After))
	buf = appendUint(buf, feedWant, uint64(q.Want))
	buf = appendBytes(buf, feedStart, q.Keys.Start)
	buf = appendBytes(buf, feedEnd, q.Keys.End)
	buf = appendBool(buf, feedPrevKV, q.PrevKV)
	buf = appendUint(buf, feedBytesMax, uint64(q.BytesMax))
	return appendEnd(buf)
}

func (r *reader) feed() *Feed {
	out := new(Feed)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case feedFeed:
			out.Feed = r.uint()
		case feedAfter:
			out.After = kv.Revision(r.uint())
		case feedWant:
			out.Want = kv.Revision(r.uint())
		case feedStart:
			out.Keys.Start = r.bytes()
		case feedEnd:
			out.Keys.End = r.bytes()
		case feedPrevKV:
			out.PrevKV = r.bool()
		case feedBytesMax:
			out.BytesMax = uint32(r.uintMax(math.MaxUint32))
		default:
			r.skip(tag)
		}
	}
	return out
}

func appendFed(buf []byte, p *Fed) []byte {
	buf = appendUint(buf, fedUpTo, uint64(p.UpTo))
	buf = appendElements(buf, fedEvents, p.Events, appendFedEvent)
	buf = appendUint(buf, fedCompacted, uint64(p.Compacted))
	return appendEnd(buf)
}

func (r *reader) fed() *Fed {
	out := new(Fed)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case fedUpTo:
			out.UpTo = kv.Revision(r.uint())
		case fedEvents:
			out.Events = elements(r, fedEventSizeMin, (*reader).fedEvent)
		case fedCompacted:
			out.Compacted = kv.Revision(r.uint())
		default:
			r.skip(tag)
		}
	}
	return out
}

func appendFedEvent(buf []byte, e *FedEvent) []byte {
	buf = appendKeyValue(append(buf, fedEventKV), &e.KV)
	if e.Prev != nil {
		buf = appendKeyValue(append(buf, fedEventPrev), e.Prev)
	}
	buf = appendBool(buf, fedEventDeleted, e.Deleted)
	buf = appendUint(buf, fedEventSub, uint64(e.Sub))
	return appendEnd(buf)
}

func (r *reader) fedEvent(out *FedEvent) {
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case fedEventKV:
			r.keyValue(&out.KV)
		case fedEventPrev:
			out.Prev = new(kv.KeyValue)
			r.keyValue(out.Prev)
		case fedEventDeleted:
			out.Deleted = r.bool()
		case fedEventSub:
			out.Sub = uint32(r.uintMax(math.MaxUint32))
		default:
			r.skip(tag)
		}
	}
}

func appendClose(buf []byte, q *Close) []byte {
	return appendEnd(appendUint(buf, closeRevision, uint64(q.Revision)))
}

func (r *reader) close() *Close {
	out := new(Close)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case closeRevision:
			out.Revision = kv.Revision(r.uint())
		default:
			r.skip(tag)
		}
	}
	return out
}

func appendClosed(buf []byte, p *Closed) []byte {
	buf = appendUint(buf, closedRevision, uint64(p.Revision))
	buf = appendUint(buf, closedIndex, p.Index)
	return appendEnd(buf)
}

func (r *reader) closed() *Closed {
	out := new(Closed)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case closedRevision:
			out.Revision = kv.Revision(r.uint())
		case closedIndex:
			out.Index = r.uint()
		default:
			r.skip(tag)
		}
	}
	return out
}
