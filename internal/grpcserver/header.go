package grpcserver

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/metadata"
)

// Bounds of a request's header.
const (
	// headerBytesMax bounds a header as HTTP/2 counts it.
	headerBytesMax    = 64 << 10
	fieldOverhead     = 32
	headerTableBytes  = 4096
	timeoutDigitsMax  = 8
	contentTypePrefix = "application/grpc"
)

// head is the header of a request while it is read. One of a connection is used
// again and again.
type head struct {
	id uint32
	// ends says that nothing follows the header.
	ends bool
	// late says that its stream has ended; it is read for what it does to the
	// table of the compression.
	late bool

	method, path, contentType, encoding string
	timeout                             time.Duration
	hasTimeout                          bool
	// fields are what the handler may see as metadata.
	fields []hpack.HeaderField
	bytes  int
	// wrong is what is wrong with it, "" if nothing.
	wrong string
}

func (h *head) begin(id uint32, ends bool) {
	*h = head{id: id, ends: ends, fields: h.fields[:0]}
}

// add takes the next field.
func (h *head) add(f hpack.HeaderField) {
	if h.bytes += len(f.Name) + len(f.Value) + fieldOverhead; h.bytes > headerBytesMax {
		h.wrong = "header is over " + strconv.Itoa(headerBytesMax) + " bytes"
		return
	}
	switch f.Name {
	case ":method":
		h.method = f.Value
	case ":path":
		h.path = f.Value
	case ":scheme", "te", "grpc-accept-encoding":
	case "grpc-encoding":
		h.encoding = f.Value
	case "grpc-timeout":
		var ok bool
		if h.timeout, ok = parseTimeout(f.Value); !ok {
			h.wrong = "grpc-timeout is malformed: " + strconv.Quote(f.Value)
		}
		h.hasTimeout = true
	case "content-type":
		h.contentType = f.Value
		h.fields = append(h.fields, f)
	default:
		h.fields = append(h.fields, f)
	}
}

// isGRPC reports whether the content type is gRPC's.
func (h *head) isGRPC() bool {
	rest, ok := strings.CutPrefix(h.contentType, contentTypePrefix)
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

var timeoutUnits = map[byte]time.Duration{
	'H': time.Hour, 'M': time.Minute, 'S': time.Second,
	'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond,
}

// parseTimeout reads up to eight digits and a unit. What is too long for a
// time.Duration is the longest.
func parseTimeout(s string) (time.Duration, bool) {
	if len(s) < 2 || len(s) > timeoutDigitsMax+1 {
		return 0, false
	}
	unit, ok := timeoutUnits[s[len(s)-1]]
	if !ok {
		return 0, false
	}
	n := time.Duration(0)
	for _, c := range []byte(s[:len(s)-1]) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + time.Duration(c-'0')
	}
	if most := time.Duration(1<<63 - 1); n > most/unit {
		return most, true
	}
	return n * unit, true
}

// sameFields reports whether two headers carry the same metadata.
func sameFields(a, b []hpack.HeaderField) bool {
	return slices.EqualFunc(a, b, func(a, b hpack.HeaderField) bool {
		return a.Name == b.Name && a.Value == b.Value
	})
}

// metadataOf are fields as metadata. Values of names that end with -bin are
// decoded; one that can't be is left out.
func metadataOf(fields []hpack.HeaderField) metadata.MD {
	md := make(metadata.MD, len(fields))
	for _, f := range fields {
		if !strings.HasSuffix(f.Name, "-bin") {
			md[f.Name] = append(md[f.Name], f.Value)
			continue
		}
		for value := range strings.SplitSeq(f.Value, ",") {
			if raw, err := decodeBinary(value); err == nil {
				md[f.Name] = append(md[f.Name], string(raw))
			}
		}
	}
	return md
}

// decodeBinary decodes base64 with or without padding.
func decodeBinary(s string) ([]byte, error) {
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
}

// appendField appends a field as a literal that is not to be indexed.
func appendField(b []byte, name, value string) []byte {
	b = append(b, 0)
	b = appendString(b, name)
	return appendString(b, value)
}

// appendString appends a string literal without Huffman's code: its length, with
// a prefix of seven bits, and its bytes.
func appendString(b []byte, s string) []byte {
	const prefix = 1<<7 - 1
	n := len(s)
	if n < prefix {
		return append(append(b, byte(n)), s...)
	}
	b = append(b, prefix)
	for n -= prefix; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(append(b, byte(n)), s...)
}

// appendMetadata appends what a handler wants to send beside its messages.
func appendMetadata(b []byte, md metadata.MD) []byte {
	for name, values := range md {
		if strings.HasPrefix(name, ":") || strings.HasPrefix(name, "grpc-") {
			continue // reserved
		}
		for _, value := range values {
			if strings.HasSuffix(name, "-bin") {
				value = base64.RawStdEncoding.EncodeToString([]byte(value))
			}
			b = appendField(b, name, value)
		}
	}
	return b
}
