package sim

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/mutant"
)

var (
	mutationsFlag = flag.String("mutations", "", "hunt those that match; all for all")
	huntFlag      = flag.Uint64("hunt", 500, "seeds that a mutation may take to be caught")
)

// Each mutation still has its place.
func TestMutationsApply(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range mutations {
		if seen[m.name] {
			t.Errorf("%s: there are two", m.name)
		}
		seen[m.name] = true
		if _, err := m.apply(".."); err != nil {
			t.Error(err)
		}
	}
}

// apply is the file with the bug in it.
func (m *mutation) apply(root string) (string, error) {
	source, err := os.ReadFile(filepath.Join(root, m.file))
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(source), m.old); n != 1 {
		return "", fmt.Errorf("%s: %s has its place %d times: %s", m.name, m.file, n, m.old)
	}
	return strings.Replace(string(source), m.old, m.new, 1), nil
}

// TestMutations has the fleet hunt all deliberate bugs with the seeds of every day, in
// configurations that know nothing of them. tools/mutants calls it; it takes long.
func TestMutations(t *testing.T) {
	if *mutationsFlag == "" {
		t.Skip("takes long; -mutations all")
	}
	wanted := regexp.MustCompile(strings.TrimSuffix(*mutationsFlag, "all"))
	var table strings.Builder
	hunt := func(name, where string, binary func(t *testing.T) string, named string) {
		if !wanted.MatchString(name) {
			return
		}
		t.Run(name, func(t *testing.T) {
			caught := huntWith(t, binary(t), named)
			fmt.Fprintf(&table, "| `%s` | `%s` | %s |\n", name, where, caught)
		})
	}
	for _, m := range mutations {
		hunt(m.name, path.Dir(m.file), m.build, "")
	}
	for _, m := range mutant.All() {
		hunt(m.String(), "mutant", func(*testing.T) string { return os.Args[0] }, m.String())
	}
	t.Logf("\n| bug | where | seeds, and what was seen |\n|---|---|---|\n%s", &table)
}

// build compiles the simulator with the bug, over an overlay of the source.
func (m *mutation) build(t *testing.T) string {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	source, err := m.apply(root)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	mutated, overlay := filepath.Join(dir, "mutated.go"), filepath.Join(dir, "overlay.json")
	binary := filepath.Join(dir, "sim.test")
	replace, err := json.Marshal(map[string]map[string]string{
		"Replace": {filepath.Join(root, m.file): mutated},
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, data := range map[string][]byte{mutated: []byte(source), overlay: replace} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "test", "-c", "-ldflags=-s -w", "-overlay", overlay,
		"-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// huntWith runs a fleet until its first failure, and tells of that.
func huntWith(t *testing.T, binary, named string) string {
	begin := time.Now()
	fleet := exec.Command(binary, "-test.run=^TestFleet$", "-test.timeout=0", "-fleet",
		fmt.Sprint("-seeds=", *huntFlag), fmt.Sprint("-first=", *firstFlag), "-failures=1",
		"-shrink=0", "-mutant="+named, fmt.Sprint("-crews=", *crewsFlag))
	out, err := fleet.CombinedOutput()
	seeds, _, _ := strings.Cut(regexp.MustCompile(`(?m)^\d+ seeds in`).FindString(string(out)), " ")
	if err == nil {
		t.Errorf("survived %s seeds", seeds)
		return "survived " + seeds
	}
	found := regexp.MustCompile(`(?m)^FAILURE [^:]*: (.{0,100})`).FindStringSubmatch(string(out))
	if found == nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("caught after %s seeds, %v: %s", seeds, time.Since(begin).Round(time.Second), found[1])
	return seeds + ": " + strings.ReplaceAll(found[1], "|", "/")
}
