package etcdtest_test

import (
	"os"
	"strings"
	"testing"

	"github.com/miruvor/miruvor/internal/etcdtest"
)

// TestThePageHasEveryDifference holds docs/etcd.md to the table.
func TestThePageHasEveryDifference(t *testing.T) {
	page, err := os.ReadFile("../../docs/etcd.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range etcdtest.Differences {
		if !strings.Contains(string(page), d.Why) {
			t.Errorf("docs/etcd.md does not say: %s", d.Why)
		}
	}
}
