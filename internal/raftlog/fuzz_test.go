package raftlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/kv"
)

// fuzzOptions are those of a log whose only segment a fuzzer makes.
func fuzzOptions(fs vfs.FS) Options {
	return Options{FS: fs, Dir: "raft", SegmentBytes: segmentBytesMin, Salt: 5}
}

// openFuzzed opens a log with one segment file. Whatever it holds, the log is
// refused as corrupt, or works.
func openFuzzed(t *testing.T, file []byte) {
	fs := disk{segmentName(1): file}.fs(t)
	if _, err := Check(fs, "raft"); err != nil && !errors.Is(err, kv.ErrCorrupt) &&
		!errors.Is(err, ErrNewerVersion) {
		t.Fatalf("check: %v", err)
	}
	l, err := Open(fuzzOptions(fs))
	if err != nil {
		if !errors.Is(err, kv.ErrCorrupt) && !errors.Is(err, ErrNewerVersion) {
			t.Fatalf("open: %v", err)
		}
		return
	}
	defer l.Close()
	for _, shard := range l.Groups() {
		g := l.Group(shard)
		first, _ := g.FirstIndex()
		last, _ := g.LastIndex()
		entries, err := g.Entries(first, last+1, 1<<20)
		must(t, err)
		for _, e := range entries {
			if term, err := g.Term(e.GetIndex()); err != nil || term != e.GetTerm() {
				t.Fatalf("%v: term of %d is %d, %v", shard, e.GetIndex(), term, err)
			}
		}
		must(t, l.Append([]Record{{Shard: shard, Entries: makeEntries(last+1, 1, 9, 9)}}))
		g.Truncate(last + 1)
	}
	must(t, l.Append([]Record{{Shard: 1000, Hard: makeHard(1, 1, 1)}}))
	must(t, l.Sync())
	for _, shard := range l.Groups() {
		must(t, l.Remove(shard))
	}
}

// segmentOf makes the file of segment 1 out of the bodies of its batches.
func segmentOf(bodies ...[]byte) []byte {
	h := segmentHeader{id: 1, salt: 5, floor: 1, firstSeq: 1}
	var head [segmentHeaderBytes]byte
	h.encode(&head)
	file := head[:]
	for i, body := range bodies {
		records := countRecords(body)
		buf := append(make([]byte, batchHeaderBytes), body...)
		batchHeader{
			bodyBytes: uint32(len(body)), records: records, seq: uint64(i + 1),
			synced: uint32(len(file)), bodySum: crc32.Checksum(body, castagnoli),
		}.encode(buf, h.seed(), int64(len(file)))
		buf = append(buf, make([]byte, alignUp(int64(len(buf)))-int64(len(buf)))...)
		file = append(file, buf...)
	}
	return append(file, make([]byte, 256)...)
}

// countRecords sets the checksums of the records in body, as far as there are
// any, and counts them; at least one, so that the batch is no marker.
func countRecords(body []byte) uint32 {
	seed := segmentHeader{id: 1, salt: 5}.seed()
	n := uint32(0)
	for len(body) >= recordHeaderBytes {
		size := recordHeaderBytes + int64(binary.LittleEndian.Uint32(body))
		if size > int64(len(body)) {
			break
		}
		sum := crc32.Update(seed, castagnoli, body[8:size])
		binary.LittleEndian.PutUint32(body[4:], sum)
		body = body[size:]
		n++
	}
	return max(n, 1)
}

// seedBodies are the records of a small log.
func seedBodies(t testing.TB) [][]byte {
	l := mustOpen(t, fuzzOptions(vfs.NewMem()))
	defer l.Close()
	body := func(recs ...Record) []byte {
		var b batch
		for i := range recs {
			b.add(l.Group(recs[i].Shard), &recs[i])
		}
		return bytes.Clone(b.buf[batchHeaderBytes:])
	}
	return [][]byte{
		body(Record{Shard: 1, Entries: makeEntries(1, 3, 1, 4), Hard: makeHard(1, 2, 3)}),
		body(
			Record{Shard: 1, Entries: makeEntries(2, 1, 2, 4)},
			Record{Shard: 2, Hard: makeHard(7, 7, 0)},
		),
		body(Record{Shard: 2, Reset: &Position{Index: 4, Term: 4}}, Record{Shard: 1, Remove: true}),
	}
}

// TestSegmentOf makes sure that the fuzzers get past the checksums.
func TestSegmentOf(t *testing.T) {
	fs := disk{segmentName(1): segmentOf(seedBodies(t)...)}.fs(t)
	l := mustOpen(t, fuzzOptions(fs))
	defer l.Close()
	if first, _ := l.Group(2).FirstIndex(); first != 5 || len(l.Groups()) != 1 {
		t.Fatalf("groups %v, first index %d", l.Groups(), first)
	}
}

// FuzzSegment opens arbitrary bytes as a segment.
func FuzzSegment(f *testing.F) {
	bodies := seedBodies(f)
	whole := segmentOf(bodies...)
	f.Add(whole)
	f.Add(whole[:100])
	f.Add(segmentOf())
	f.Fuzz(openFuzzed)
}

// FuzzRecords opens segments whose batches hold arbitrary records, but whose
// checksums are right.
func FuzzRecords(f *testing.F) {
	bodies := seedBodies(f)
	f.Add(bodies[0], bodies[1], bodies[2])
	f.Add(bodies[1], bodies[0], []byte{})
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		openFuzzed(t, segmentOf(bytes.Clone(a), bytes.Clone(b), bytes.Clone(c)))
	})
}

// TestGapIsRefused opens a log that lacks entries, though all checksums are
// right.
func TestGapIsRefused(t *testing.T) {
	l := mustOpen(t, fuzzOptions(vfs.NewMem()))
	defer l.Close()
	var b batch
	b.add(l.Group(1), &Record{Shard: 1, Entries: makeEntries(3, 2, 1, 4)})
	fs := disk{segmentName(1): segmentOf(b.buf[batchHeaderBytes:])}.fs(t)
	if _, err := Open(fuzzOptions(fs)); !errors.Is(err, kv.ErrCorrupt) {
		t.Fatalf("open: %v", err)
	}
}
