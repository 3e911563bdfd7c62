package grpcserver

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
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

// head is a header while it is read. One of a connection is used again and again.
type head struct {
	method, scheme, path, contentType, encoding string
	authority, host                             string
	timeout                                     time.Duration
	hasTimeout                                  bool
	// fields are what the handler may see as metadata.
	fields []hpack.HeaderField
	bytes  int
	// regular says that a field was read that is none of HTTP/2's own, tooLong
	// that the header is over headerBytesMax.
	regular, tooLong bool
	// malformed is what HTTP/2 does not allow in it, wrong what gRPC does not; ""
	// is nothing.
	malformed, wrong string
}

func (h *head) begin() { *h = head{fields: h.fields[:0]} }

// add takes the next field.
func (h *head) add(f hpack.HeaderField) {
	if h.bytes += len(f.Name) + len(f.Value) + fieldOverhead; h.bytes > headerBytesMax {
		h.tooLong = true
		return
	}
	if strings.HasPrefix(f.Name, ":") {
		h.addPseudo(f)
		return
	}
	h.regular = true
	if !isFieldName(f.Name) || !httpguts.ValidHeaderFieldValue(f.Value) {
		h.malformed = "the field " + strconv.Quote(f.Name) + " is not allowed"
	}
	switch f.Name {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		h.malformed = f.Name + " is not of HTTP/2"
	case "te":
		if f.Value != "trailers" {
			h.malformed = "te is not trailers"
		}
	case "host":
		h.host = f.Value
	case "grpc-accept-encoding":
	case "grpc-encoding":
		h.encoding = f.Value
	case "grpc-timeout":
		h.addTimeout(f.Value)
	case "content-type":
		h.contentType = f.Value
		h.fields = append(h.fields, f)
	default:
		h.fields = append(h.fields, f)
	}
}

// addPseudo takes one of the fields that stand for HTTP/1's first line.
func (h *head) addPseudo(f hpack.HeaderField) {
	var into *string
	switch f.Name {
	case ":method":
		into = &h.method
	case ":scheme":
		into = &h.scheme
	case ":path":
		into = &h.path
	case ":authority":
		into = &h.authority
		h.fields = append(h.fields, f)
	}
	if into == nil || *into != "" || h.regular {
		h.malformed = f.Name + " is unknown, there twice, or late"
		return
	}
	*into = f.Value
}

func (h *head) addTimeout(value string) {
	var ok bool
	if h.timeout, ok = parseTimeout(value); !ok {
		h.wrong = "grpc-timeout is malformed: " + strconv.Quote(value)
	}
	h.hasTimeout = true
}

// end follows the last field of a request.
func (h *head) end() {
	if h.method == "" || h.scheme == "" || h.path == "" {
		h.malformed = ":method, :scheme or :path is missing"
	}
	if h.authority == "" && h.host != "" {
		h.fields = append(h.fields, hpack.HeaderField{Name: ":authority", Value: h.host})
	}
}

// isFieldName reports whether a name is allowed, which one in capitals is not.
func isFieldName(name string) bool {
	for _, r := range name {
		if !httpguts.IsTokenRune(r) || 'A' <= r && r <= 'Z' {
			return false
		}
	}
	return name != ""
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
