// Package enginetest is the conformance suite of engine.Engine: what its
// comments promise, as tests that every implementation passes.
//
// It owns the promises and a model to compare with, a plain sorted map. An
// implementation's test calls Run once. Everything random is drawn from
// seeds that are part of the subtests' names, so a failure is repeated by
// running the subtest again.
package enginetest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/miruvor/miruvor/internal/engine"
)

// Subject is the implementation under test.
type Subject struct {
	// Open returns a new, empty engine. The suite closes it.
	Open func(t *testing.T) engine.Engine
	// Crash returns the engine that a power loss of e at this moment leaves.
	// e goes on, unharmed and independent; the suite closes both.
	Crash func(t *testing.T, e engine.Engine, rng *rand.Rand) engine.Engine
	// Reopen closes e in good order and opens it again. It is nil if the
	// implementation keeps nothing after Close.
	Reopen func(t *testing.T, e engine.Engine) engine.Engine
}

// Run tests s.
func Run(t *testing.T, s Subject) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, s Subject)
	}{
		{"Point", testPoint},
		{"PointOwnership", testPointOwnership},
		{"DeleteRange", testDeleteRange},
		{"BatchIsAtomic", testBatchIsAtomic},
		{"BatchKeepsOrder", testBatchKeepsOrder},
		{"BatchIsUsedOnce", testBatchIsUsedOnce},
		{"BatchOfManyMegabytes", testLargeBatch},
		{"IterBounds", testIterBounds},
		{"IterLeave", testIterLeave},
		{"IterMoves", testIterMoves},
		{"IterEnds", testIterEnds},
		{"IterIsFrozen", testIterIsFrozen},
		{"SeekPrefix", testSeekPrefix},
		{"Snapshot", testSnapshot},
		{"IngestReplaces", testIngestReplaces},
		{"IngestRefuses", testIngestRefuses},
		{"IngestAbort", testIngestAbort},
		{"IngestAndOpenIterators", testIngestIterators},
		{"IngestLarge", testIngestLarge},
		{"IngestIsDurable", testIngestIsDurable},
		{"Flush", testFlush},
		{"CrashLeavesPrefix", testCrashLeavesPrefix},
		{"Reopen", testReopen},
		{"Readers", testReaders},
		{"IngestBesideReaders", testIngestBesideReaders},
		{"Model", testModel},
		{"Reclaim", testReclaim},
		{"DiskUsage", testDiskUsage},
		{"MetricsAndCheck", testMetricsAndCheck},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, s) })
	}
}

// open returns an empty engine that is closed at the end of the test.
func (s Subject) open(t *testing.T) engine.Engine {
	t.Helper()
	e := s.Open(t)
	t.Cleanup(func() { noError(t, e.Close()) })
	return e
}

// crash crashes e and returns what is left, closed at the end of the test.
func (s Subject) crash(t *testing.T, e engine.Engine, rng *rand.Rand) engine.Engine {
	t.Helper()
	left := s.Crash(t, e, rng)
	t.Cleanup(func() { noError(t, left.Close()) })
	return left
}

func newRand(seed uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, 0))
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}

// commit writes one batch.
func commit(t *testing.T, e engine.Engine, fill func(b engine.Batch)) {
	t.Helper()
	b := e.NewBatch()
	fill(b)
	noError(t, b.Commit())
	noError(t, b.Close())
}

// set writes pairs, given as key, value, key, value, in one batch.
func set(t *testing.T, e engine.Engine, keysAndValues ...string) {
	t.Helper()
	commit(t, e, func(b engine.Batch) {
		for pair := range slices.Chunk(keysAndValues, 2) {
			noError(t, b.Set([]byte(pair[0]), []byte(pair[1])))
		}
	})
}

// wantGet checks one key; want "" means that there is none.
func wantGet(t *testing.T, r engine.Reader, key, want string) {
	t.Helper()
	got, err := r.Get([]byte(key))
	if want == "" {
		wantError(t, err, engine.ErrNotFound)
		return
	}
	noError(t, err)
	if string(got) != want {
		t.Fatalf("Get(%q) = %q, want %q", key, got, want)
	}
}

// dump lists all pairs of r from lower to upper as "key=value".
func dump(t *testing.T, r engine.Reader, lower, upper []byte) []string {
	t.Helper()
	it, err := r.NewIter(lower, upper)
	noError(t, err)
	var out []string
	for ok := it.First(); ok; ok = it.Next() {
		out = append(out, fmt.Sprintf("%s=%s", it.Key(), it.Value()))
	}
	noError(t, it.Error())
	noError(t, it.Close())
	return out
}

// wantAll checks everything that r holds, as "key=value".
func wantAll(t *testing.T, r engine.Reader, want ...string) {
	t.Helper()
	if got := dump(t, r, nil, nil); !slices.Equal(got, want) {
		t.Fatalf("holds %q, want %q", got, want)
	}
}

// revisionBytes is the length of a revision at the end of a version key.
const revisionBytes = 8

// versionPrefix is the shape of keys that engines keep a prefix filter for:
// package keyspace's versions, without their revision.
func versionPrefix(name string) []byte {
	escaped := bytes.ReplaceAll([]byte(name), []byte{0}, []byte{0, 0xff})
	return slices.Concat([]byte{0x04}, escaped, []byte{0, 1})
}

// versionKey is a key with its revision; higher revisions sort first.
func versionKey(name string, revision uint64) []byte {
	return binary.BigEndian.AppendUint64(versionPrefix(name), ^revision)
}
