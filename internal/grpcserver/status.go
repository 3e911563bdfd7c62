package grpcserver

import (
	"encoding/base64"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Header blocks that most answers have.
var (
	// okHeaders are the status 200, which is number 8 of the static table, and
	// the content type, whose name is number 31.
	okHeaders = appendString([]byte{0x80 | 8, 0x0f, 31 - 15}, "application/grpc")
	// okTrailers tell success.
	okTrailers = appendField(nil, "grpc-status", "0")
)

// appendTrailers appends what a stream ends with.
func appendTrailers(b []byte, st *status.Status) []byte {
	if st.Code() == codes.OK {
		return append(b, okTrailers...)
	}
	b = appendField(b, "grpc-status", strconv.Itoa(int(st.Code())))
	b = appendField(b, "grpc-message", encodeText(st.Message()))
	if p := st.Proto(); len(p.GetDetails()) > 0 {
		if raw, err := proto.Marshal(p); err == nil {
			b = appendField(b, "grpc-status-details-bin", base64.RawStdEncoding.EncodeToString(raw))
		}
	}
	return b
}

// encodeText percent-encodes all but printable ASCII, and the percent sign.
func encodeText(s string) string {
	plain := func(c byte) bool { return c >= ' ' && c <= '~' && c != '%' }
	clean := true
	for i := range len(s) {
		clean = clean && plain(s[i])
	}
	if clean {
		return s
	}
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(s) {
		if plain(c) {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', digits[c>>4], digits[c&15]})
	}
	return b.String()
}

// statusOf is the status that a handler's error stands for.
func statusOf(err error) *status.Status {
	if err == nil {
		return nil
	}
	if st, ok := status.FromError(err); ok {
		return st
	}
	return status.FromContextError(err) // codes.Unknown if it is no context's
}
