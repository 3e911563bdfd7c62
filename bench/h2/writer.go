package h2

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// StreamID is HTTP/2's: odd, rising.
type StreamID uint32

// stream is one call under way.
type stream struct {
	call   Call
	window int64  // bytes that the server still takes
	unread int    // bytes that came and for which it wasn't given room again
	part   []byte // of a message whose rest has not come
}

// writer is the sending half: what Conn.mu guards.
type writer struct {
	authority string
	out       *bufio.Writer
	framer    *http2.Framer
	streams   map[StreamID]*stream
	nextID    StreamID
	blocks    map[string][]byte // header blocks by method
	encoder   *hpack.Encoder
	block     bytes.Buffer // the encoder's output

	window       int64 // bytes that the server still takes on the connection
	streamWindow int64 // bytes that it takes on a new stream
	streamsMax   uint32
	blocked      []data // what waits for a window, in order
	scratch      []byte
}

// data is a DATA frame that has no room yet.
type data struct {
	id    StreamID
	bytes []byte
	last  bool
}

func newWriter(authority string, out *bufio.Writer) writer {
	return writer{
		authority:    authority,
		out:          out,
		framer:       http2.NewFramer(out, nil),
		streams:      map[StreamID]*stream{},
		nextID:       1,
		blocks:       map[string][]byte{},
		window:       http2WindowBytes,
		streamWindow: http2WindowBytes,
		streamsMax:   1<<32 - 1,
	}
}

// preface opens the connection, with windows that answers never fill.
func (w *writer) preface() error {
	if _, err := io.WriteString(w.out, http2.ClientPreface); err != nil {
		return err
	}
	window := http2.Setting{ID: http2.SettingInitialWindowSize, Val: streamWindowBytes}
	push := http2.Setting{ID: http2.SettingEnablePush, Val: 0}
	if err := w.framer.WriteSettings(push, window); err != nil {
		return err
	}
	if err := w.framer.WriteWindowUpdate(0, connWindowBytes-http2WindowBytes); err != nil {
		return err
	}
	return w.out.Flush()
}

// settle takes over what the server asks for.
func (w *writer) settle(settings *http2.SettingsFrame) error {
	err := settings.ForeachSetting(func(s http2.Setting) error {
		switch s.ID {
		case http2.SettingInitialWindowSize:
			more := int64(s.Val) - w.streamWindow
			w.streamWindow += more
			for _, open := range w.streams {
				open.window += more
			}
		case http2.SettingMaxConcurrentStreams:
			w.streamsMax = s.Val
		case http2.SettingHeaderTableSize:
			if len(w.blocks) > 0 {
				return fmt.Errorf("header table of %d bytes after the first settings", s.Val)
			}
			w.newEncoder(s.Val)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return w.framer.WriteSettingsAck()
}

func (w *writer) newEncoder(tableBytesMax uint32) {
	w.encoder = hpack.NewEncoder(&w.block)
	w.encoder.SetMaxDynamicTableSizeLimit(tableBytesMax)
}

// headers is the block of a method. Its first use enters what it says in the server's table, and
// shifts the indexes of others; from then on it is a few indexes, as other clients' are.
func (w *writer) headers(method string) []byte {
	if block, ok := w.blocks[method]; ok {
		return block
	}
	if w.encoder == nil {
		w.newEncoder(headerTableBytes)
	}
	first := bytes.Clone(w.encode(method))
	w.blocks[method] = nil
	for known := range w.blocks {
		w.blocks[known] = bytes.Clone(w.encode(known))
	}
	return first
}

// encode is what etcd's Go client sends with a call that has no deadline.
func (w *writer) encode(method string) []byte {
	w.block.Reset()
	for _, f := range []hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: method},
		{Name: ":authority", Value: w.authority},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "user-agent", Value: "miruvor-compare"},
		{Name: "te", Value: "trailers"},
		{Name: "client-api-version", Value: "3.7"},
	} {
		_ = w.encoder.WriteField(f) // to memory
	}
	return w.block.Bytes()
}

func (w *writer) start(method string, message []byte, last bool, call Call) (StreamID, error) {
	if uint32(len(w.streams)) >= w.streamsMax {
		return 0, fmt.Errorf("h2: the server takes no more than %d streams", w.streamsMax)
	}
	id := w.nextID
	w.nextID += 2
	headers := http2.HeadersFrameParam{
		StreamID:      uint32(id),
		BlockFragment: w.headers(method),
		EndHeaders:    true,
	}
	if err := w.framer.WriteHeaders(headers); err != nil {
		return 0, err
	}
	w.streams[id] = &stream{call: call, window: w.streamWindow}
	return id, w.send(id, message, last)
}

// send frames a message as gRPC does: a flag for compression, four bytes of length.
func (w *writer) send(id StreamID, message []byte, last bool) error {
	w.scratch = append(w.scratch[:0], 0)
	w.scratch = binary.BigEndian.AppendUint32(w.scratch, uint32(len(message)))
	w.scratch = append(w.scratch, message...)
	rest := w.scratch
	for len(rest) > frameBytesMax {
		if err := w.offer(data{id: id, bytes: rest[:frameBytesMax]}); err != nil {
			return err
		}
		rest = rest[frameBytesMax:]
	}
	return w.offer(data{id: id, bytes: rest, last: last})
}

// offer writes a frame, or keeps a copy until there is room for it.
func (w *writer) offer(d data) error {
	if len(w.blocked) > 0 || !w.fits(d) {
		d.bytes = bytes.Clone(d.bytes)
		w.blocked = append(w.blocked, d)
		return nil
	}
	return w.write(d)
}

func (w *writer) fits(d data) bool {
	s := w.streams[d.id]
	return s == nil || int64(len(d.bytes)) <= min(w.window, s.window)
}

// write sends a frame; of a stream that ended meanwhile it is dropped.
func (w *writer) write(d data) error {
	s := w.streams[d.id]
	if s == nil {
		return nil
	}
	w.window -= int64(len(d.bytes))
	s.window -= int64(len(d.bytes))
	return w.framer.WriteData(uint32(d.id), d.last, d.bytes)
}

// grant takes room from the server, for a stream or, by id 0, for all, and sends what waited.
func (w *writer) grant(id StreamID, more int64) error {
	if id == 0 {
		w.window += more
	} else if s := w.streams[id]; s != nil {
		s.window += more
	}
	return w.resume()
}

func (w *writer) resume() error {
	for len(w.blocked) > 0 && w.fits(w.blocked[0]) {
		if err := w.write(w.blocked[0]); err != nil {
			return err
		}
		w.blocked = w.blocked[1:]
	}
	return nil
}
