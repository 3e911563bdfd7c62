package backup

import (
	"bytes"
	"errors"
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
