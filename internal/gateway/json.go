package gateway

import (
	"errors"
	"io"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/encoding/protojson"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// boundedJSON is etcd's form of JSON with a bound for each message that is
// read.
type boundedJSON struct {
	runtime.HTTPBodyMarshaler
	messageBytesMax int
}

func newJSON(messageBytesMax int) *boundedJSON {
	form := &runtime.JSONPb{
		MarshalOptions:   protojson.MarshalOptions{UseProtoNames: true},
		UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: true},
	}
	return &boundedJSON{runtime.HTTPBodyMarshaler{Marshaler: form}, messageBytesMax}
}

// NewDecoder implements runtime.Marshaler.
func (j *boundedJSON) NewDecoder(r io.Reader) runtime.Decoder {
	bounded := &boundedReader{r: r}
	decoder := j.HTTPBodyMarshaler.NewDecoder(bounded)
	return runtime.DecoderFunc(func(v any) error {
		bounded.left = j.messageBytesMax
		return decoder.Decode(v)
	})
}

// boundedReader reads no more than left.
type boundedReader struct {
	r    io.Reader
	left int
}

var errMessageTooLarge = errors.New(rpctypes.ErrorDesc(rpctypes.ErrGRPCRequestTooLarge))

// Read implements io.Reader.
func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errMessageTooLarge
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
