package transport

import (
	"bytes"
	"encoding/binary"
	"io"
	"runtime"
	"testing"
)

// Frames are read back as written, and nothing else passes for a frame.
func FuzzReadFrame(f *testing.F) {
	f.Add(newFrame(frameIdle, ""))
	f.Add(newFrame(frameHello, "MRVR\x01\x00\x01\x00\x00"))
	f.Add(append(newFrame(frameMessages, "\x00\x00\x00\x00"), newFrame(frameRefusal, "why")...))
	f.Add([]byte("\xff\xff\xff\xff\x00\x00\x00\x00\x04"))
	f.Fuzz(func(t *testing.T, data []byte) {
		const payloadMax = 1 << 12
		in := bytes.NewReader(data)
		var again []byte
		for {
			kind, payload, err := readFrame(in, payloadMax)
			if err != nil {
				break
			}
			if len(payload) > payloadMax {
				t.Fatalf("payload of %d bytes", len(payload))
			}
			again = append(again, newFrame(kind, payload)...)
		}
		if !bytes.HasPrefix(data, again) {
			t.Fatalf("%x\nwas read as\n%x", data, again)
		}
	})
}

// A batch that is read holds what its bytes say: built anew from the
// messages, it reads the same.
func FuzzReadBatch(f *testing.F) {
	limits := Options{}.withDefaults().Limits
	for count := range uint64(4) {
		frame, _ := (&batch{limits: limits}).fill(requests(1, count))
		f.Add(bytes.Clone(frame[frameHeaderBytes:]))
	}
	f.Add(append(binary.LittleEndian.AppendUint32(nil, 2), 1, 0, 0, 0, 9, 0, 0, 0, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		msgs, malformed, err := readBatch(data)
		if err != nil {
			return
		}
		if count := binary.LittleEndian.Uint32(data); uint64(count) != uint64(len(msgs)+malformed) {
			t.Fatalf("%d messages and %d malformed of %d", len(msgs), malformed, count)
		}
		rebuilt := &batch{limits: limits}
		for left := msgs; len(left) > 0; {
			frame, taken := rebuilt.fill(left)
			again, malformed, err := readBatch(frame[frameHeaderBytes:])
			if err != nil || malformed > 0 || len(again) != taken {
				t.Fatalf("%+v was read again as %+v, %d malformed, %v", left, again, malformed, err)
			}
			left = left[taken:]
		}
	})
}

func FuzzCutPair(f *testing.F) {
	f.Add(appendPair(appendPair(nil, Pair{}), Pair{Key: []byte("k"), Value: make([]byte, 200)}))
	f.Fuzz(func(t *testing.T, data []byte) {
		var again []byte
		for rest := data; len(rest) > 0; {
			pair, after, err := cutPair(rest)
			if err != nil {
				return
			}
			if len(after) >= len(rest) {
				t.Fatal("no progress")
			}
			again, rest = appendPair(again, pair), after
		}
		var first, second []Pair
		for _, in := range []struct {
			data []byte
			out  *[]Pair
		}{{data, &first}, {again, &second}} {
			for rest := in.data; len(rest) > 0; {
				var p Pair
				p, rest, _ = cutPair(rest)
				*in.out = append(*in.out, p)
			}
		}
		if len(first) != len(second) {
			t.Fatalf("%d pairs became %d", len(first), len(second))
		}
	})
}

// A length that lies costs the liar: memory follows what arrives.
func TestLyingLengthAllocatesLittle(t *testing.T) {
	header := newFrame(frameMessages, "")
	binary.LittleEndian.PutUint32(header, 1<<30)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := readFrame(bytes.NewReader(header), 1<<30)
	runtime.ReadMemStats(&after)
	if err != io.ErrUnexpectedEOF {
		t.Errorf("error is %v", err)
	}
	allocated := after.TotalAlloc - before.TotalAlloc
	if allocated > 2*payloadStepBytes {
		t.Errorf("%d bytes allocated for a frame that never came", allocated)
	}
	large := newFrame(frameMessages, bytes.Repeat([]byte("large"), 1<<20))
	_, payload, err := readFrame(bytes.NewReader(large), 8<<20)
	if err != nil || !bytes.Equal(payload, large[frameHeaderBytes:]) {
		t.Errorf("a payload over several steps: %v", err)
	}
}

func TestMalformedMessageTakesNoOtherWithIt(t *testing.T) {
	frame, _ := (&batch{limits: Options{}.withDefaults().Limits}).fill(requests(1, 3))
	payload := bytes.Clone(frame[frameHeaderBytes:])
	size := int(binary.LittleEndian.Uint32(payload[batchCountBytes:]))
	second := batchCountBytes + messageSizeBytes + size + messageSizeBytes
	payload[second] = 0xff
	msgs, malformed, err := readBatch(payload)
	if err != nil || malformed != 1 || len(msgs) != 2 {
		t.Fatalf("%d messages, %d malformed, %v", len(msgs), malformed, err)
	}
	if msgs[0].Request.ID != 1 || msgs[1].Request.ID != 3 {
		t.Errorf("got %+v", msgs)
	}
	longer := append(bytes.Clone(payload[:second+size]), 0)
	binary.LittleEndian.PutUint32(longer, 2)
	binary.LittleEndian.PutUint32(longer[second-messageSizeBytes:], uint32(size)+1)
	longer[second] = payload[batchCountBytes+messageSizeBytes]
	if msgs, malformed, err := readBatch(longer); len(msgs) != 1 || malformed != 1 || err != nil {
		t.Errorf("a message with a byte too many: %d, %d malformed, %v", len(msgs), malformed, err)
	}
	for n := range len(payload) {
		if _, _, err := readBatch(payload[:n]); err == nil {
			t.Fatalf("%d of %d bytes pass for a batch", n, len(payload))
		}
	}
}
