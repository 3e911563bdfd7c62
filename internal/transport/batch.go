package transport

import (
	"encoding/binary"
	"errors"

	"github.com/miruvor/miruvor/internal/wire"
)

// The payload of a frameMessages is a count u32, then that many times a
// length u32 and a wire.Message. Each has its length so that one that can't
// be read takes no other with it.
const (
	batchCountBytes  = 4
	messageSizeBytes = 4
)

var errBatch = errors.New("batch of messages is malformed")

// batch builds frames of messages, in one buffer for all of them.
type batch struct {
	limits Limits
	buf    []byte
}

// fill builds a frame from as many messages, from the first on, as belong in
// one, and returns it and their number. That is 0 if the first alone is too
// large. The frame is valid until the next call.
func (b *batch) fill(msgs []wire.Message) (frame []byte, taken int) {
	if cap(b.buf) > 4*b.limits.BatchBytes {
		b.buf = nil // one huge message must not hold its size for ever
	}
	buf := append(beginFrame(b.buf), make([]byte, batchCountBytes)...)
	for taken < len(msgs) && len(buf) < b.limits.BatchBytes {
		start := len(buf)
		buf = append(buf, make([]byte, messageSizeBytes)...)
		buf = wire.AppendMessage(buf, &msgs[taken])
		if len(buf)-frameHeaderBytes > b.limits.FrameBytesMax {
			buf = buf[:start]
			break
		}
		size := len(buf) - start - messageSizeBytes
		binary.LittleEndian.PutUint32(buf[start:], uint32(size))
		taken++
	}
	binary.LittleEndian.PutUint32(buf[frameHeaderBytes:], uint32(taken))
	b.buf = buf
	return sealFrame(buf, frameMessages), taken
}

// readBatch decodes a frameMessages. The messages alias payload. Those that
// can't be read are left out and counted.
func readBatch(payload []byte) (msgs []wire.Message, malformed int, err error) {
	if len(payload) < batchCountBytes {
		return nil, 0, errBatch
	}
	count := binary.LittleEndian.Uint32(payload)
	payload = payload[batchCountBytes:]
	if uint64(count) > uint64(len(payload)/messageSizeBytes) {
		return nil, 0, errBatch
	}
	msgs = make([]wire.Message, 0, count)
	for range count {
		if len(payload) < messageSizeBytes {
			return nil, 0, errBatch
		}
		size := binary.LittleEndian.Uint32(payload)
		payload = payload[messageSizeBytes:]
		if uint64(size) > uint64(len(payload)) {
			return nil, 0, errBatch
		}
		m, rest, err := wire.DecodeMessage(payload[:size:size])
		if err != nil || len(rest) > 0 {
			malformed++
		} else {
			msgs = append(msgs, m)
		}
		payload = payload[size:]
	}
	if len(payload) > 0 {
		return nil, 0, errBatch
	}
	return msgs, malformed, nil
}
