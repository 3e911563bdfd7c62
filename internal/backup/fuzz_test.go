package backup

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

// FuzzRead gives the reader whole files. It must refuse them or be right about
// their size, and never fail otherwise.
func FuzzRead(f *testing.F) {
	for _, file := range sampleFiles(f) {
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		sum, err := Read("f", bytes.NewReader(file), Sink{})
		switch {
		case err == nil && sum.Bytes != int64(len(file)):
			t.Errorf("%d bytes of %d", sum.Bytes, len(file))
		case err != nil && !errors.Is(err, kv.ErrCorrupt) && !errors.Is(err, kv.ErrInvalid):
			t.Error(err)
		}
	})
}

// FuzzSpoilt changes some bytes of a backup, or cuts it off: whatever is no more what was
// written is refused, and with the offset.
func FuzzSpoilt(f *testing.F) {
	files := sampleFiles(f)
	f.Add(uint8(0), uint16(0), []byte{1})
	f.Add(uint8(1), uint16(70), []byte{0x80, 0, 1})
	f.Add(uint8(1), uint16(300), []byte(nil))
	f.Fuzz(func(t *testing.T, file uint8, at uint16, change []byte) {
		whole := files[int(file)%len(files)]
		begin := int(at) % len(whole)
		spoilt := bytes.Clone(whole)
		if len(change) == 0 {
			spoilt = spoilt[:begin]
		}
		for i := range min(len(change), len(spoilt)-begin) {
			spoilt[begin+i] ^= change[i]
		}
		if bytes.Equal(spoilt, whole) {
			return
		}
		_, err := Read("f", bytes.NewReader(spoilt), Sink{})
		newer := errors.Is(err, kv.ErrInvalid)
		if !newer && (!errors.Is(err, kv.ErrCorrupt) || !strings.Contains(err.Error(), "offset")) {
			t.Fatalf("%x at %d: %v", change, begin, err)
		}
	})
}

// FuzzRecords gives the decoders bodies of blocks, which in a file a checksum
// protects. What they take is encoded as it was.
func FuzzRecords(f *testing.F) {
	f.Add(appendKey(nil, &kv.KeyValue{
		Key: []byte("k"), Value: []byte("v"),
		CreateRevision: 3, ModRevision: 300, Version: 2, Lease: 9,
	}))
	f.Add(appendLease(nil, &kv.Lease{ID: 7, Granted: 60, TTL: 59}))
	f.Add(appendEnd(nil, 300, 1, 64))
	f.Fuzz(func(t *testing.T, body []byte) {
		check := func(what string, d *decoder, again []byte) {
			if used := body[:len(body)-len(d.buf)]; d.problem == "" && !bytes.Equal(again, used) {
				t.Errorf("%s: %x is encoded again as %x", what, used, again)
			}
		}
		d := &decoder{buf: body}
		k := decodeKey(d)
		check("key", d, appendKey(nil, &k))
		d = &decoder{buf: body}
		l := decodeLease(d)
		check("lease", d, appendLease(nil, &l))
		d = &decoder{buf: body}
		keys, leases := decodeEnd(d)
		check("end", d, appendEnd(nil, keys, leases, int64(sectorBytes-len(body)%sectorBytes)))
	})
}

// FuzzHeaders gives the decoders headers of files and blocks.
func FuzzHeaders(f *testing.F) {
	f.Add(appendHeader(nil, Header{Cluster: 1, Revision: 2, Time: milliTime(3)}))
	f.Add(append(appendBlockHeader(nil, kindKeys, 1, []byte("body")), make([]byte, headerBytes)...))
	f.Fuzz(func(t *testing.T, buf []byte) {
		if len(buf) < headerBytes {
			return
		}
		if h, _, problem := decodeHeader(buf[:headerBytes]); problem == "" {
			if again := appendHeader(nil, h); !bytes.Equal(again, buf[:headerBytes]) {
				t.Errorf("%x is encoded again as %x", buf, again)
			}
		}
		if h, problem := decodeBlockHeader(buf[:blockHeaderBytes]); problem == "" &&
			(h.size == 0 || h.size > blockBytesMax || h.kind == 0) {
			t.Errorf("taken: %+v", h)
		}
	})
}

// sampleFiles are small backups, the second with all that there is.
func sampleFiles(tb testing.TB) [][]byte {
	tb.Helper()
	var files [][]byte
	for n := range 2 {
		var out bytes.Buffer
		w, err := newWriter(&out, Header{
			Cluster: 0x0102030405060708, Revision: 700, Time: time.UnixMilli(1_767_323_045_006),
		})
		if err != nil {
			tb.Fatal(err)
		}
		for i := range n * 2 {
			k := &kv.KeyValue{
				Key: []byte{'a', byte(i)}, Value: []byte("value"),
				CreateRevision: 300, ModRevision: kv.Revision(300 + i*300),
				Version: int64(1 + i), Lease: kv.LeaseID(i * 7),
			}
			if err := w.key(k); err != nil {
				tb.Fatal(err)
			}
		}
		for i := range n {
			if err := w.lease(&kv.Lease{ID: 7, Granted: 600, TTL: int64(59 + i)}); err != nil {
				tb.Fatal(err)
			}
		}
		if err := w.finish(&Summary{}); err != nil {
			tb.Fatal(err)
		}
		files = append(files, out.Bytes())
	}
	return files
}
