package grpcserver

import (
	"encoding/base64"
	"strings"

	"google.golang.org/grpc/metadata"
)

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
