package grpcserver

import (
	"container/list"
	"encoding/binary"
	"math"
	"sync"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/metadata"
)

const (
	// frameBytesMax is the longest frame that is sent, however long the client
	// takes them.
	frameBytesMax = 64 << 10
	// outBytesMax is how much waits for the socket before those who write wait.
	outBytesMax = 512 << 10
	// outBytesKept is the largest buffer that is kept while there is nothing to
	// write.
	outBytesKept = 128 << 10

	frameHeadBytes   = 9
	messageHeadBytes = 5
)

// out is the part of a connection that sends. The connection's lock guards it.
type out struct {
	buf, spare []byte
	// flushing says that somebody writes to the socket, due that somebody is
	// about to.
	flushing, due bool
	// last says that nothing follows what is in buf, shut that it was written.
	last, shut bool
	// sent says that a client's ping may follow from what was sent.
	sent bool
	// shrinkTable says that the client made the table of header compression
	// smaller, shrunk that it was told that the table is empty.
	shrinkTable, shrunk bool
	// window is what the client takes on the connection, initialWindow on a new
	// stream.
	window, initialWindow int64
	frameBytesMax         int
	headerBytesMax        int64
	// queue are the streams that wait for window or for room in buf, in order.
	queue list.List
	// calm is signalled when the reader may go on.
	calm sync.Cond
}

func (o *out) init(mu *sync.Mutex) {
	o.calm.L = mu
	o.window, o.initialWindow = windowBytesDefault, windowBytesDefault
	o.frameBytesMax = frameBytesDefault
	o.headerBytesMax = math.MaxUint32
}

// hasRoom reports whether a stream may send that has a window of its own.
func (o *out) hasRoom() bool { return o.window > 0 && len(o.buf) < outBytesMax }

// takes reports whether a header is not longer than the client wants it, which has
// a few fields and metadata.
func (o *out) takes(block []byte, mds ...metadata.MD) bool {
	const own = 5 // the most fields that a status comes with
	bytes := int64(len(block)) + own*fieldOverhead
	for _, md := range mds {
		for _, values := range md {
			bytes += int64(len(values)) * fieldOverhead
		}
	}
	return bytes <= o.headerBytesMax
}

// wakeNext wakes the stream that has waited longest, if it may go on.
func (o *out) wakeNext() {
	if first := o.queue.Front(); first != nil && o.hasRoom() {
		first.Value.(*stream).wakeLocked()
	}
}

// frame appends the head of a frame.
func (o *out) frame(size int, kind http2.FrameType, flags http2.Flags, id uint32) {
	o.buf = append(o.buf, byte(size>>16), byte(size>>8), byte(size), byte(kind), byte(flags))
	o.buf = binary.BigEndian.AppendUint32(o.buf, id)
}

func (o *out) settings(list ...http2.Setting) {
	o.frame(6*len(list), http2.FrameSettings, 0, 0)
	for _, s := range list {
		o.buf = binary.BigEndian.AppendUint16(o.buf, uint16(s.ID))
		o.buf = binary.BigEndian.AppendUint32(o.buf, s.Val)
	}
}

func (o *out) settingsAck() { o.frame(0, http2.FrameSettings, http2.FlagSettingsAck, 0) }

func (o *out) windowUpdate(id, bytes uint32) {
	o.frame(4, http2.FrameWindowUpdate, 0, id)
	o.buf = binary.BigEndian.AppendUint32(o.buf, bytes)
}

func (o *out) ping(data [8]byte, flags http2.Flags) {
	o.frame(len(data), http2.FramePing, flags, 0)
	o.buf = append(o.buf, data[:]...)
}

func (o *out) reset(id uint32, code http2.ErrCode) {
	o.frame(4, http2.FrameRSTStream, 0, id)
	o.buf = binary.BigEndian.AppendUint32(o.buf, uint32(code))
}

func (o *out) goAway(lastID uint32, code http2.ErrCode, why string) {
	o.frame(8+len(why), http2.FrameGoAway, 0, 0)
	o.buf = binary.BigEndian.AppendUint32(o.buf, lastID)
	o.buf = binary.BigEndian.AppendUint32(o.buf, uint32(code))
	o.buf = append(o.buf, why...)
}

// emptyTable is a change of the size of the table, to 0.
const emptyTable = 0x20

// header appends a header. One that is too long for a frame goes on in others.
func (o *out) header(id uint32, block []byte, ends bool) {
	o.sent = true
	if o.shrinkTable && !o.shrunk {
		o.shrunk = true
		block = append([]byte{emptyTable}, block...)
	}
	var flags http2.Flags
	if ends {
		flags = http2.FlagHeadersEndStream
	}
	kind := http2.FrameHeaders
	for {
		part := block[:min(len(block), o.frameBytesMax)]
		if block = block[len(part):]; len(block) == 0 {
			flags |= http2.FlagHeadersEndHeaders
		}
		o.frame(len(part), kind, flags, id)
		o.buf = append(o.buf, part...)
		if len(block) == 0 {
			return
		}
		kind, flags = http2.FrameContinuation, 0
	}
}

// data appends a part of a stream's messages, which fits into a frame and into
// the windows.
func (o *out) data(id uint32, part []byte) {
	o.sent = true
	o.frame(len(part), http2.FrameData, 0, id)
	o.buf = append(o.buf, part...)
}
