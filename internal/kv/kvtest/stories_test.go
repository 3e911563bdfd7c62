package kvtest

import (
	"path/filepath"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// TestStories runs the stories from their files, so that -rewrite works.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		c := begin(t, kvfake.New())
		datadriven.RunTest(t, filepath.Clean(path), (&story{testCase: c}).command)
	})
}

// TestFake runs the whole suite over one store, which shows that cases clean
// up and depend on no absolute revision.
func TestFake(t *testing.T) {
	shared := kvfake.New()
	Run(t, func(*testing.T) kv.Store { return shared })
}

// TestFakeMaintainer holds the fake to what operators are promised.
func TestFakeMaintainer(t *testing.T) { RunMaintainer(t, kvfake.New()) }
