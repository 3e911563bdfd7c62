package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPublish gives a file its name, but not that of one which appeared meanwhile.
func TestPublish(t *testing.T) {
	dir := t.TempDir()
	path, unfinished := filepath.Join(dir, "monday"), filepath.Join(dir, "monday.1.unfinished")
	for i, text := range []string{"first", "second"} {
		if err := os.WriteFile(unfinished, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := publish(unfinished, path)
		if i == 0 && err != nil {
			t.Fatal(err)
		}
		if i == 1 && (err == nil || !strings.Contains(err.Error(), "it is not overwritten")) {
			t.Errorf("published over another file: %v", err)
		}
		if err := removeIfThere(unfinished); err != nil {
			t.Fatal(err)
		}
		if err := removeIfThere(unfinished); err != nil {
			t.Errorf("removing nothing: %v", err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "first" {
		t.Errorf("the file is %q, %v", got, err)
	}
}
