package pebble

import (
	"bytes"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/engine"
)

// TestIngestOfManyTables ends a table after a few pairs, so that each span has
// many and their range deletions have to meet.
func TestIngestOfManyTables(t *testing.T) {
	e := ingestEngine(t, vfs.NewMem(), nil)
	defer e.Close()
	e.tableBytes = 20 << 10
	noError(t, largeIngest(e))
	if got := state(t, e); got != stateAfter {
		t.Errorf("after the ingest: %s", got)
	}
	noError(t, e.Check())
	if n := e.Metrics()["ingested_tables_total"]; n < 20 {
		t.Errorf("only %v tables", n)
	}
}

func TestChooseExcised(t *testing.T) {
	e := mustOpen(t, Options{FS: vfs.NewMem()})
	defer e.Close()
	fill(t, e, 3, 1000, bytes.Repeat([]byte("v"), 100))
	fill(t, e, 5, 10, []byte("v"))
	noError(t, e.Flush())
	version := append([]byte{versionSpace, 'k', 0, 1}, make([]byte, revisionBytes)...)
	key := func(space byte) []byte { return []byte{space} }
	spanOf := func(from, to byte) engine.Span { return engine.Span{Start: key(from), End: key(to)} }
	for _, c := range []struct {
		name  string
		spans []engine.Span
		want  int
	}{
		{"the largest", []engine.Span{spanOf(1, 3), spanOf(3, 4), spanOf(5, 6)}, 1},
		{"all empty", []engine.Span{spanOf(1, 2), spanOf(7, 8)}, 0},
		{"not up to a version", []engine.Span{{Start: key(3), End: version}, spanOf(5, 6)}, 1},
		{"not from a version", []engine.Span{{Start: version, End: key(6)}}, -1},
	} {
		got, err := e.chooseExcised(c.spans)
		noError(t, err)
		if got != c.want {
			t.Errorf("%s: span %d, want %d", c.name, got, c.want)
		}
	}
}
