package keyspace

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/miruvor/miruvor/internal/kv"
)

// TestKeys holds every key and value against its bytes: they are a promise
// to data that is already on disk.
func TestKeys(t *testing.T) {
	datadriven.RunTest(t, "testdata/keys.txt", func(t *testing.T, d *datadriven.TestData) string {
		var out strings.Builder
		for line := range strings.Lines(d.Input) {
			fmt.Fprintf(&out, "%s\n", encode(t, d.Cmd, strings.Fields(line)))
		}
		return out.String()
	})
}

func encode(t *testing.T, what string, args []string) string {
	number := func(i int) int64 {
		n, err := strconv.ParseInt(args[i], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	text := func(i int) []byte {
		s, err := strconv.Unquote(args[i])
		if err != nil {
			t.Fatal(err)
		}
		return []byte(s)
	}
	hexed := func(b []byte) string { return hex.EncodeToString(b) }
	switch what {
	case "node":
		return hexed(NodeKey(Kind(text(0)[0])))
	case "peer":
		return hexed(PeerKey(nil, kv.NodeID(number(0))))
	case "meta":
		return hexed(MetaKey(nil, kv.ShardID(number(0)), Kind(text(1)[0])))
	case "registry":
		return hexed(RegistryKey(nil, kv.NodeID(number(0))))
	case "map":
		return hexed(MapKey(nil, kv.ShardID(number(0))))
	case "version":
		return hexed(VersionKey(nil, text(0), kv.Revision(number(1))))
	case "after":
		return hexed(AfterVersions(VersionPrefix(nil, text(0))))
	case "history":
		rev, sub := kv.Revision(number(1)), uint32(number(2))
		return hexed(HistoryKey(nil, kv.ShardID(number(0)), rev, sub))
	case "put":
		return hexed(AppendVersion(nil, Version{
			Create: kv.Revision(number(0)), Count: number(1),
			Lease: kv.LeaseID(number(2)), Value: text(3),
		}))
	case "tombstone":
		return hexed(AppendVersion(nil, Version{Tombstone: true}))
	case "applied":
		return hexed(AppendApplied(nil, Applied{
			Index: uint64(number(0)), Term: uint64(number(1)), Revision: kv.Revision(number(2)),
		}))
	case "alarms":
		a := Alarms{Index: uint64(number(0))}
		for i := 1; i < len(args); i += 2 {
			a.Raised = append(a.Raised, kv.Alarm{
				Node: kv.NodeID(number(i)), Kind: kv.AlarmKind(number(i + 1)),
			})
		}
		return hexed(AppendAlarms(nil, a))
	case "spans":
		return printSpans(Spans(kv.ShardID(number(0)), rangeOf(text(1), text(2))))
	}
	if lease := encodeLease(what, args, number, text); lease != nil {
		return hexed(lease)
	}
	t.Fatalf("unknown command %s", what)
	return ""
}

func rangeOf(start, end []byte) kv.Range {
	if len(end) == 0 {
		end = nil
	}
	return kv.Range{Start: start, End: end}
}

func printSpans(spans []Span) string {
	var out strings.Builder
	for _, s := range spans {
		fmt.Fprintf(&out, "[%x, %x) ", s.Start, s.End)
	}
	return strings.TrimSpace(out.String())
}

var awkwardKeys = [][]byte{
	{},
	{0},
	{0, 0},
	{0, 1},
	{0, 0xff},
	{1},
	{1, 0},
	{0xff},
	{0xff, 0xff},
	{0xff, 0},
	[]byte("a"), []byte("a\x00"), []byte("a\x00\x01"), []byte("a\x00\xff"), []byte("a\x01"),
	[]byte("ab"), []byte("b"), bytes.Repeat([]byte{0}, 300),
}

func TestOrderAndPrefixes(t *testing.T) {
	for _, a := range awkwardKeys {
		for _, b := range awkwardKeys {
			checkPair(t, a, b, 7, 9)
		}
	}
}

func FuzzOrder(f *testing.F) {
	f.Add([]byte("a"), []byte("a\x00"), int64(1), int64(2))
	f.Add([]byte{0, 0xff}, []byte{0, 1}, int64(5), int64(5))
	f.Fuzz(func(t *testing.T, a, b []byte, revA, revB int64) {
		checkPair(t, a, b, kv.Revision(revA), kv.Revision(revB))
	})
}

func checkPair(t *testing.T, a, b []byte, revA, revB kv.Revision) {
	t.Helper()
	prefixA, prefixB := VersionPrefix(nil, a), VersionPrefix(nil, b)
	want := bytes.Compare(a, b)
	if got := bytes.Compare(prefixA, prefixB); got != want {
		t.Fatalf("prefixes of %q and %q compare as %d, the keys as %d", a, b, got, want)
	}
	if want != 0 && bytes.HasPrefix(prefixA, prefixB) {
		t.Fatalf("the prefix of %q begins with that of %q", a, b)
	}
	revA, revB = clamp(revA), clamp(revB)
	keyA, keyB := VersionKey(nil, a, revA), VersionKey(nil, b, revB)
	if want == 0 {
		want = int(max(-1, min(1, revB-revA)))
	}
	if got := bytes.Compare(keyA, keyB); got != want {
		t.Fatalf("%q at %v and %q at %v compare as %d, not %d", a, revA, b, revB, got, want)
	}
	key, rev, err := ParseVersionKey(keyA)
	if err != nil || !bytes.Equal(key, a) || rev != revA {
		t.Fatalf("%q at %v came back as %q, %v, %v", a, revA, key, rev, err)
	}
	after := AfterVersions(bytes.Clone(prefixA))
	if above := bytes.Compare(after, keyB) > 0; above != (bytes.Compare(a, b) >= 0) {
		t.Fatalf("the end of the versions of %q is above %q: %v", a, b, above)
	}
}

func clamp(rev kv.Revision) kv.Revision {
	return max(kv.FirstRevision, min(kv.RevisionMax, rev))
}

func TestSpansHoldWhatTheyShould(t *testing.T) {
	r := kv.Range{Start: []byte("a\x00"), End: []byte("b")}
	spans := Spans(3, r)
	inside := func(key []byte) bool {
		return slices.ContainsFunc(spans, func(s Span) bool {
			return bytes.Compare(key, s.Start) >= 0 && bytes.Compare(key, s.End) < 0
		})
	}
	for _, key := range awkwardKeys {
		for _, rev := range []kv.Revision{1, kv.RevisionMax} {
			if got := inside(VersionKey(nil, key, rev)); got != r.Contains(key) {
				t.Errorf("version of %q at %v: in the spans %v", key, rev, got)
			}
		}
	}
	for shard := kv.ShardID(2); shard <= 4; shard++ {
		if got := inside(MetaKey(nil, shard, 0xff, 0xff)); got != (shard == 3) {
			t.Errorf("metadata of %v: in the spans %v", shard, got)
		}
		key := HistoryKey(nil, shard, kv.RevisionMax, math.MaxUint32)
		if got := inside(key); got != (shard == 3) {
			t.Errorf("history of %v: in the spans %v", shard, got)
		}
		key = LeaseIndexKey(nil, shard, -1, []byte{0xff})
		if got := inside(key); got != (shard == 3) {
			t.Errorf("lease index of %v: in the spans %v", shard, got)
		}
	}
}

func TestHistorySpan(t *testing.T) {
	span := HistorySpan(3, 5, 8)
	for rev := kv.Revision(1); rev < 10; rev++ {
		key := HistoryKey(nil, 3, rev, 0)
		got := bytes.Compare(key, span.Start) >= 0 && bytes.Compare(key, span.End) < 0
		if got != (rev >= 5 && rev < 8) {
			t.Errorf("%v in [r5, r8): %v", rev, got)
		}
	}
}

func FuzzParseVersionKey(f *testing.F) {
	f.Add(VersionKey(nil, []byte("a\x00b"), 7))
	f.Add([]byte{4, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		key, rev, err := ParseVersionKey(b)
		if refused(t, err) {
			return
		}
		if again := VersionKey(nil, key, rev); !bytes.Equal(again, b) {
			t.Fatalf("%x came back as %x", b, again)
		}
	})
}

func FuzzParseHistoryKey(f *testing.F) {
	f.Add(HistoryKey(nil, 1, 2, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		shard, rev, sub, err := ParseHistoryKey(b)
		if refused(t, err) {
			return
		}
		if again := HistoryKey(nil, shard, rev, sub); !bytes.Equal(again, b) {
			t.Fatalf("%x came back as %x", b, again)
		}
	})
}

func FuzzParseMetaKey(f *testing.F) {
	f.Add(RegistryKey(nil, 7))
	f.Fuzz(func(t *testing.T, b []byte) {
		shard, kind, suffix, err := ParseMetaKey(b)
		if refused(t, err) {
			return
		}
		if again := MetaKey(nil, shard, kind, suffix...); !bytes.Equal(again, b) {
			t.Fatalf("%x came back as %x", b, again)
		}
	})
}

func FuzzParseVersion(f *testing.F) {
	f.Add(AppendVersion(nil, Version{Tombstone: true}))
	f.Add(AppendVersion(nil, Version{Create: 300, Count: 2, Lease: -1, Value: []byte("v")}))
	f.Add([]byte{0, 0x81, 0x00, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := ParseVersion(b)
		if refused(t, err) {
			return
		}
		if again := AppendVersion(nil, v); !bytes.Equal(again, b) {
			t.Fatalf("%x came back as %x", b, again)
		}
	})
}

func FuzzParseApplied(f *testing.F) {
	f.Add(AppendApplied(nil, Applied{Index: 300, Term: 1, Revision: 9}))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ParseApplied(b)
		if refused(t, err) {
			return
		}
		if again := AppendApplied(nil, a); !bytes.Equal(again, b) {
			t.Fatalf("%x came back as %x", b, again)
		}
	})
}

func refused(t *testing.T, err error) bool {
	if err != nil && !errors.Is(err, kv.ErrCorrupt) {
		t.Fatalf("an error that does not wrap ErrCorrupt: %v", err)
	}
	return err != nil
}

func BenchmarkVersionKey(b *testing.B) {
	b.ReportAllocs()
	key, buf := []byte("/registry/pods/default/nginx-7f"), make([]byte, 0, 64)
	for b.Loop() {
		buf = VersionKey(buf[:0], key, 12345)
	}
}

func BenchmarkParseVersion(b *testing.B) {
	b.ReportAllocs()
	data := AppendVersion(nil, Version{Create: 77, Count: 3, Value: make([]byte, 256)})
	for b.Loop() {
		if _, err := ParseVersion(data); err != nil {
			b.Fatal(err)
		}
	}
}
