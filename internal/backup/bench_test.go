package backup

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
)

const benchKeys = 10_000

func benchFile(b *testing.B, w io.Writer) Summary {
	b.Helper()
	var sum Summary
	out, err := newWriter(w, Header{Revision: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	k := kv.KeyValue{Value: make([]byte, 256), CreateRevision: 7, ModRevision: 1 << 29, Version: 9}
	for i := range benchKeys {
		k.Key = fmt.Appendf(k.Key[:0], "/registry/pods/%09d", i)
		if err := out.key(&k); err != nil {
			b.Fatal(err)
		}
	}
	if err := out.finish(&sum); err != nil {
		b.Fatal(err)
	}
	return sum
}

// BenchmarkRead is what a check costs, and each of the passes of a restore.
func BenchmarkRead(b *testing.B) {
	var file bytes.Buffer
	sum := benchFile(b, &file)
	b.SetBytes(sum.Bytes)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read("f", bytes.NewReader(file.Bytes()), Sink{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEncode is what a backup costs beside reading the store.
func BenchmarkEncode(b *testing.B) {
	sum := benchFile(b, io.Discard)
	b.SetBytes(sum.Bytes)
	b.ReportAllocs()
	for b.Loop() {
		benchFile(b, io.Discard)
	}
}
