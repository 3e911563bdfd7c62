package grpcserver_test

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/miruvor/miruvor/internal/grpcserver"
)

// survives has a server read what follows the preface, from a client that reads
// everything and then goes. The bubble fails if anything of the server is left.
func survives(t *testing.T, sent []byte) {
	synctest.Test(t, func(t *testing.T) {
		s, dial := servePipes(t, &echo{}, grpcserver.Options{
			MessageBytesMax: 1 << 16, StreamsMax: 8,
		})
		nc := dial()
		heard := make(chan int64, 1)
		go func() {
			n, _ := io.Copy(io.Discard, nc)
			heard <- n
		}()
		_, _ = io.WriteString(nc, http2.ClientPreface)
		_, _ = nc.Write(sent)
		time.Sleep(time.Second)
		_ = nc.Close()
		if n := <-heard; n == 0 {
			t.Error("the server said nothing")
		}
		began := time.Now()
		s.GracefulStop()
		if took := time.Since(began); took > time.Minute {
			t.Errorf("the connection ended %v after its client", took)
		}
	})
}

// FuzzBytes sends anything.
func FuzzBytes(f *testing.F) {
	var b bytes.Buffer
	framer := http2.NewFramer(&b, nil)
	_ = framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 3})
	f.Add(bytes.Clone(b.Bytes()))
	writeCall(framer, 1, callFields)
	f.Add(bytes.Clone(b.Bytes()))
	_ = framer.WriteWindowUpdate(1, 1000)
	writeCall(framer, 3, chatFields)
	_ = framer.WriteRSTStream(3, http2.ErrCodeCancel)
	_ = framer.WriteGoAway(0, http2.ErrCodeNo, nil)
	f.Add(bytes.Clone(b.Bytes()))
	f.Fuzz(survives)
}

func writeCall(framer *http2.Framer, id uint32, fields []hpack.HeaderField) {
	var block bytes.Buffer
	encode := hpack.NewEncoder(&block)
	for _, f := range fields {
		_ = encode.WriteField(f)
	}
	_ = framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true,
	})
	_ = framer.WriteData(id, true, hello)
}

// FuzzFrames sends frames that are nearly right, three bytes of the input for each:
// what, of which stream, and with what in it.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x00\x01\x00\x02\x01\x05\x03\x01\x09\x04\x01\x00"))
	f.Add([]byte("\x01\x01\x00\x02\x01\xff\x06\x00\x01\x05\x00\x01\x06\x00\x20\x02\x01\x10"))
	f.Add([]byte("\x00\x01\x01\x00\x03\x01\x00\x05\x01\x09\x01\x00\x09\x03\x00\x07\x00\x00"))
	f.Add([]byte("\x08\x01\x03\x08\x03\x7f\x0a\x01\x05\x02\x01\x80\x0b\x00\x00"))
	f.Fuzz(func(t *testing.T, moves []byte) {
		var b bytes.Buffer
		framer := http2.NewFramer(&b, nil)
		framer.AllowIllegalWrites = true
		_ = framer.WriteSettings()
		for len(moves) >= 3 && b.Len() < 1<<20 {
			move(framer, moves[0], uint32(moves[1]), moves[2])
			moves = moves[3:]
		}
		survives(t, b.Bytes())
	})
}

func move(framer *http2.Framer, what byte, id uint32, arg byte) {
	ends := arg&1 == 1
	switch what % 12 {
	case 0:
		writeCall(framer, id, callFields)
	case 1:
		writeCall(framer, id, chatFields)
	case 2:
		_ = framer.WriteData(id, ends, hello[:int(arg)%(len(hello)+1)])
	case 3:
		_ = framer.WriteDataPadded(id, ends, hello, make([]byte, arg))
	case 4:
		_ = framer.WriteRSTStream(id, http2.ErrCode(arg))
	case 5:
		_ = framer.WriteWindowUpdate(id, uint32(arg)<<(arg%28))
	case 6:
		setting := http2.SettingID(id % 8)
		_ = framer.WriteSettings(http2.Setting{ID: setting, Val: uint32(arg) << (arg % 28)})
	case 7:
		_ = framer.WritePing(ends, [8]byte{'d', 'r', 'a', 'i', 'n'})
	case 8: // a header in two parts, with indexes alone or of anything
		_ = framer.WriteHeaders(http2.HeadersFrameParam{
			StreamID: id, BlockFragment: []byte{0x83, 0x86, arg}, EndStream: ends,
		})
		_ = framer.WriteContinuation(id, arg&2 == 0, []byte{arg | 0x80})
	case 9:
		_ = framer.WriteRawFrame(http2.FrameType(arg), http2.Flags(id), id, hello)
	case 10:
		_ = framer.WriteData(id, ends, append([]byte{arg % 3, 0, 0, 0}, arg))
	case 11:
		_ = framer.WriteGoAway(id, http2.ErrCode(arg), nil)
	}
}
