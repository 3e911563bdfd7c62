package grpcserver

import (
	"bytes"
	"encoding/base64"
	"math"
	"math/big"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// FuzzTimeout: a timeout is what gRPC's grammar says, and in time.Duration as long as
// there fits.
func FuzzTimeout(f *testing.F) {
	for _, text := range []string{"1S", "99999999H", "00000000n", "123456789u", "-1S", "1", "S"} {
		f.Add(text)
	}
	grammar := regexp.MustCompile(`\A[0-9]{1,8}[HMSmun]\z`)
	f.Fuzz(func(t *testing.T, text string) {
		d, ok := parseTimeout(text)
		if ok != grammar.MatchString(text) {
			t.Fatalf("%q is a timeout: %v", text, ok)
		}
		if !ok {
			return
		}
		n, err := strconv.Atoi(text[:len(text)-1])
		if err != nil {
			t.Fatal(err)
		}
		unit := map[string]time.Duration{
			"H": time.Hour, "M": time.Minute, "S": time.Second,
			"m": time.Millisecond, "u": time.Microsecond, "n": time.Nanosecond,
		}[text[len(text)-1:]]
		want := new(big.Int).Mul(big.NewInt(int64(n)), big.NewInt(int64(unit)))
		if most := big.NewInt(math.MaxInt64); want.Cmp(most) > 0 {
			want = most
		}
		if int64(d) != want.Int64() {
			t.Fatalf("%q is %v, want %vns", text, d, want)
		}
	})
}

// FuzzStatus: a status comes out of its header as it went in, and the header is one that
// HTTP/2 allows.
func FuzzStatus(f *testing.F) {
	f.Add(uint8(5), "etcdserver: key is not provided")
	f.Add(uint8(0), "")
	f.Add(uint8(13), "100%\r\n\x00\xff é "+strings.Repeat("long", 100))
	f.Fuzz(func(t *testing.T, code uint8, text string) {
		want := status.New(codes.Code(code), text)
		block := appendTrailers(nil, want)
		fields, err := hpack.NewDecoder(headerTableBytes, nil).DecodeFull(block)
		if err != nil {
			t.Fatalf("%x: %v", block, err)
		}
		said := map[string]string{}
		for _, f := range fields {
			if !httpguts.ValidHeaderFieldValue(f.Value) || said[f.Name] != "" {
				t.Fatalf("%v is not allowed, or there twice", f)
			}
			said[f.Name] = f.Value
		}
		message, err := url.PathUnescape(said["grpc-message"])
		if want.Code() == codes.OK {
			text = ""
		}
		if err != nil || message != text || said["grpc-status"] != strconv.Itoa(int(code)) {
			t.Fatalf("%v is told as %v, %v", want, said, err)
		}
	})
}

// FuzzBinary: metadata in base64 is understood with and without padding.
func FuzzBinary(f *testing.F) {
	f.Add([]byte("ab"))
	f.Add([]byte{0xfb, 0xff, 0xfe})
	f.Fuzz(func(t *testing.T, value []byte) {
		for _, form := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding} {
			text := form.EncodeToString(value)
			if got, err := decodeBinary(text); err != nil || !bytes.Equal(got, value) {
				t.Fatalf("%s is %x, %v", text, got, err)
			}
		}
		if got, err := decodeBinary(string(value)); err == nil && len(got) > len(value) {
			t.Fatalf("%q is %x", value, got)
		}
	})
}
