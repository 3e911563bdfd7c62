package raftlog

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/miruvor/miruvor/internal/kv"
)

const testSegmentBytes = 64 << 10

func testOptions(fs vfs.FS) Options {
	return Options{FS: fs, Dir: "raft", SegmentBytes: testSegmentBytes, Salt: 7}
}

func mustOpen(t testing.TB, opts Options) *Log {
	t.Helper()
	l, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// makeEntries returns count entries from first on, whose data tell index and
// term and are of size bytes.
func makeEntries(first uint64, count int, term uint64, size int) []*raftpb.Entry {
	var out []*raftpb.Entry
	for i := range uint64(count) {
		data := fmt.Appendf(nil, "%d/%d ", first+i, term)
		data = append(data, bytes.Repeat([]byte{'x'}, max(0, size-len(data)))...)
		out = append(out, &raftpb.Entry{
			Index: new(first + i), Term: new(term), Data: data,
		})
	}
	return out
}

func makeHard(term, vote, commit uint64) *raftpb.HardState {
	return &raftpb.HardState{
		Term: new(term), Vote: new(vote), Commit: new(commit),
	}
}

// wantEntries checks that the group's log is exactly the given terms, by index
// from first on, and that the data fit.
func wantEntries(t testing.TB, g *Group, first uint64, terms ...uint64) {
	t.Helper()
	lo, _ := g.FirstIndex()
	last, _ := g.LastIndex()
	if lo != first || last != first+uint64(len(terms))-1 {
		t.Fatalf("%v: log is %d..%d, want %d..%d", g.shard, lo, last, first,
			first+uint64(len(terms))-1)
	}
	entries, err := g.Entries(lo, last+1, 1<<40)
	must(t, err)
	if len(entries) != len(terms) {
		t.Fatalf("%v: %d entries, want %d", g.shard, len(entries), len(terms))
	}
	for i, e := range entries {
		index := first + uint64(i)
		want := fmt.Sprintf("%d/%d ", index, terms[i])
		term, err := g.Term(index)
		must(t, err)
		if e.GetIndex() != index || e.GetTerm() != terms[i] || term != terms[i] ||
			!bytes.HasPrefix(e.Data, []byte(want)) {
			t.Fatalf("%v: entry %d is %v (term %d), want term %d",
				g.shard, index, e, term, terms[i])
		}
	}
}

func TestAppendAndReopen(t *testing.T) {
	fs := vfs.NewMem()
	l := mustOpen(t, testOptions(fs))
	must(t, l.Append([]Record{
		{Shard: 1, Entries: makeEntries(1, 3, 1, 10), Hard: makeHard(1, 2, 0)},
		{Shard: 2, Reset: &Position{Index: 10, Term: 4}, Entries: makeEntries(11, 2, 5, 10)},
	}))
	must(t, l.Append([]Record{
		{Shard: 1, Entries: makeEntries(3, 2, 2, 10), Hard: makeHard(2, 0, 2)},
	}))
	must(t, l.Append([]Record{{Shard: 3, Hard: makeHard(9, 9, 9)}}))
	must(t, l.Remove(3))
	must(t, l.Sync())
	check := func(l *Log) {
		t.Helper()
		wantEntries(t, l.Group(1), 1, 1, 1, 2, 2)
		wantEntries(t, l.Group(2), 11, 5, 5)
		if got := l.Group(1).HardState(); !proto.Equal(got, makeHard(2, 0, 2)) {
			t.Fatalf("hard state %v", got)
		}
		if got := fmt.Sprint(l.Groups()); got != "[s1 s2]" {
			t.Fatalf("groups %v", got)
		}
		if term, err := l.Group(2).Term(10); err != nil || term != 4 {
			t.Fatalf("term of the position is %d, %v", term, err)
		}
		if _, err := l.Group(2).Term(9); !errors.Is(err, raft.ErrCompacted) {
			t.Fatalf("term below: %v", err)
		}
		if _, err := l.Group(2).Entries(11, 14, 1); !errors.Is(err, raft.ErrUnavailable) {
			t.Fatalf("entries above: %v", err)
		}
	}
	check(l)
	must(t, l.Close())
	for range 3 {
		l = mustOpen(t, testOptions(fs))
		check(l)
		must(t, l.Close())
	}
	problems, err := Check(fs, "raft")
	if err != nil || len(problems) > 0 {
		t.Fatalf("check: %v, %v", problems, err)
	}
}

func TestTruncate(t *testing.T) {
	fs := vfs.NewMem()
	l := mustOpen(t, testOptions(fs))
	g := l.Group(1)
	must(t, l.Append([]Record{{Shard: 1, Entries: makeEntries(1, 10, 3, 10)}}))
	g.Truncate(4)
	wantEntries(t, g, 5, 3, 3, 3, 3, 3, 3)
	g.Truncate(2)
	wantEntries(t, g, 5, 3, 3, 3, 3, 3, 3)
	must(t, l.Append([]Record{{Shard: 1, Entries: makeEntries(11, 1, 4, 10)}}))
	g.Truncate(10)
	wantEntries(t, g, 11, 4)
	if term, err := g.Term(10); err != nil || term != 3 {
		t.Fatalf("term of the position is %d, %v", term, err)
	}
	must(t, l.Close())
	l = mustOpen(t, testOptions(fs))
	wantEntries(t, l.Group(1), 5, 3, 3, 3, 3, 3, 3, 4)
	if term, err := l.Group(1).Term(4); err != nil || term != 3 {
		t.Fatalf("term of the position is %d, %v", term, err)
	}
	must(t, l.Close())
}

func TestAppendRefuses(t *testing.T) {
	l := mustOpen(t, testOptions(vfs.NewMem()))
	defer l.Close()
	must(t, l.Append([]Record{{Shard: 1, Entries: makeEntries(1, 5, 1, 10)}}))
	l.Group(1).Truncate(2)
	for _, recs := range [][]Record{
		{{Shard: 1, Entries: makeEntries(7, 1, 1, 1)}},
		{{Shard: 1, Entries: makeEntries(2, 1, 1, 1)}},
		{{Shard: 2, Entries: makeEntries(2, 1, 1, 1)}},
		{{Shard: 1, Entries: append(makeEntries(6, 1, 1, 1), makeEntries(8, 1, 1, 1)...)}},
		{
			{Shard: 1, Entries: makeEntries(6, 1, 1, 1)},
			{Shard: 1, Entries: makeEntries(8, 1, 1, 1)},
		},
		{{Shard: 1, Remove: true, Hard: makeHard(1, 1, 1)}},
	} {
		if err := l.Append(recs); !errors.Is(err, kv.ErrInvalid) {
			t.Fatalf("%v was answered with %v", recs, err)
		}
	}
	wantEntries(t, l.Group(1), 3, 1, 1, 1)
	must(t, l.Append([]Record{
		{Shard: 1, Entries: makeEntries(6, 1, 1, 1)},
		{Shard: 1, Reset: &Position{Index: 20, Term: 1}, Entries: makeEntries(21, 1, 2, 1)},
	}))
	wantEntries(t, l.Group(1), 21, 2)
}
