package grpcserver

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// request is what a header asks for. Calls with the same header share what it
// points to.
type request struct {
	method     *method
	gzipped    bool
	hasTimeout bool
	// malformed says that the stream is to be reset.
	malformed bool
	timeout   time.Duration
	ctx       context.Context
	md        metadata.MD
	// refusal is the header that refuses it, nil if it is allowed.
	refusal []byte
}

// knownMax bounds the headers that a connection remembers.
const knownMax = 64

// headerBlock is a header, compressed, that comes in several frames.
type headerBlock struct {
	open   bool
	id     uint32
	ends   bool
	bytes  []byte
	frames int
}

// header takes in the first frame of a header.
func (c *conn) header(f frame) error {
	part, err := f.fragment()
	if err != nil {
		return err
	}
	if f.id%2 == 0 {
		return &breach{http2.ErrCodeProtocol, fmt.Sprintf("a client's stream is numbered %d", f.id)}
	}
	ends := f.flags.Has(http2.FlagHeadersEndStream)
	if f.flags.Has(http2.FlagHeadersEndHeaders) {
		return c.headed(f.id, ends, part)
	}
	c.in.block = headerBlock{open: true, id: f.id, ends: ends, bytes: append([]byte(nil), part...)}
	return nil
}

// continued takes in a further frame of a header.
func (c *conn) continued(f frame) error {
	b := &c.in.block
	if !b.open {
		return &breach{http2.ErrCodeProtocol, "nothing is to be continued"}
	}
	b.bytes = append(b.bytes, f.payload...)
	if b.frames++; len(b.bytes)+b.frames*frameHeadBytes > headerBytesMax {
		return &breach{http2.ErrCodeEnhanceYourCalm, "a header is too long"}
	}
	if !f.flags.Has(http2.FlagContinuationEndHeaders) {
		return nil
	}
	whole := *b
	*b = headerBlock{}
	return c.headed(whole.id, whole.ends, whole.bytes)
}

// headed takes in a whole header: of a new stream, or of the end of one.
func (c *conn) headed(id uint32, ends bool, block []byte) error {
	if id <= c.in.lastID {
		return c.trailers(id, ends, block)
	}
	c.in.lastID = id
	r, err := c.request(block)
	if err == nil {
		c.open(id, ends, r)
	}
	return err
}

// request reads a header, or remembers what it was.
func (c *conn) request(block []byte) (request, error) {
	in := &c.in
	if r, ok := in.known[string(block)]; ok {
		return r, nil
	}
	if err := c.decode(block); err != nil {
		return request{}, err
	}
	in.head.end()
	r := c.requestOf(&in.head)
	if isIndexes(block) && len(in.known) < knownMax {
		in.known[string(block)] = r
	}
	return r, nil
}

// decode reads a header into c.in.head.
func (c *conn) decode(block []byte) error {
	if !isIndexes(block) {
		clear(c.in.known) // the table may change
	}
	c.in.head.begin()
	_, err := c.in.hpack.Write(block)
	if err == nil {
		err = c.in.hpack.Close()
	}
	if err != nil {
		return &breach{http2.ErrCodeCompression, err.Error()}
	}
	return nil
}

// isIndexes reports whether a header is indexes into the table, a byte each, and so
// leaves the table as it is.
func isIndexes(block []byte) bool {
	const indexed, long = 0x80, 0xff
	for _, b := range block {
		if b < indexed || b == long {
			return false
		}
	}
	return true
}

// requestOf is what a header asks for.
func (c *conn) requestOf(h *head) request {
	if h.malformed != "" && !h.tooLong {
		return request{malformed: true}
	}
	if refusal := c.server.refusal(h); refusal != nil {
		return request{refusal: refusal}
	}
	r := request{
		method: c.server.methods[h.path], gzipped: h.encoding == encodingGzip,
		hasTimeout: h.hasTimeout, timeout: h.timeout,
	}
	r.ctx, r.md = c.context()
	return r
}

// refusal is the header that a request is refused with, nil if it is not.
func (s *Server) refusal(h *head) []byte {
	switch {
	case h.tooLong:
		return refusalOf(status.Newf(codes.ResourceExhausted, "header is over %d bytes",
			headerBytesMax))
	case h.wrong != "":
		return refusalOf(status.New(codes.Internal, "malformed header: "+h.wrong))
	case h.method != "POST":
		return refusalHTTP("405")
	case !h.isGRPC():
		return refusalHTTP("415")
	case s.methods[h.path] == nil:
		return refusalOf(status.New(codes.Unimplemented, s.missing(h.path)))
	case h.encoding != "" && h.encoding != "identity" && h.encoding != encodingGzip:
		return refusalOf(status.Newf(codes.Unimplemented,
			"grpc-encoding %q is not known, only %s", h.encoding, encodingGzip))
	}
	return nil
}

// refusalOf is the header of an answer that is nothing but a status.
func refusalOf(st *status.Status) []byte {
	return appendTrailers(append([]byte(nil), okHeaders...), st)
}

// refusalHTTP is the header of an answer to what is no call of gRPC. The name of
// the status is number 8 of the static table.
func refusalHTTP(code string) []byte { return appendString([]byte{8}, code) }

// missing says what there is not at a path.
func (s *Server) missing(path string) string {
	service, name, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !ok {
		return fmt.Sprintf("malformed method name: %q", path)
	}
	if _, ok := s.info[service]; !ok {
		return "unknown service " + service
	}
	return fmt.Sprintf("unknown method %s for service %s", name, service)
}

// context is base with the metadata of the call whose header was read. Calls with
// the same metadata share it.
func (c *conn) context() (context.Context, metadata.MD) {
	in := &c.in
	if in.ctx == nil || !sameFields(in.fields, in.head.fields) {
		in.fields = append(in.fields[:0], in.head.fields...)
		in.md = metadataOf(in.fields)
		in.ctx = metadata.NewIncomingContext(c.base, in.md)
	}
	return in.ctx, in.md
}

// trailers takes in the header that ends what a client sends. What it says is not
// for anybody.
func (c *conn) trailers(id uint32, ends bool, block []byte) error {
	if err := c.decode(block); err != nil {
		return err
	}
	c.mu.Lock()
	st := c.streams[id]
	c.mu.Unlock()
	switch {
	case st == nil: // it has ended meanwhile
	case st.input.ended.Load():
		c.giveUp(id, http2.ErrCodeStreamClosed)
	case !ends || c.in.head.malformed != "" || c.in.head.method != "":
		c.giveUp(id, http2.ErrCodeProtocol)
	default:
		st.inputEnded()
	}
	return nil
}
