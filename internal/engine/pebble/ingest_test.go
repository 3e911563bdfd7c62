package pebble

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
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
