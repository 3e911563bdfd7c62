package casualties

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/miruvor/miruvor/internal/mutant"
)

// tableSection is where the table of docs/testing.md stands.
const tableSection = "## Other systems' casualties"

var (
	testName   = regexp.MustCompile("`(Test\\w+)`")
	testStart  = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	proves     = regexp.MustCompile(`\bprove(Alone)?\(`)
	mutantName = regexp.MustCompile(`mutant\.([A-Z]\w+)`)
)

// TestTheTableIsTheScenes holds the table in docs/testing.md to the code: it has every
// scene, with the bugs that the scene is played with, and names no test that there is not.
func TestTheTableIsTheScenes(t *testing.T) {
	if raced {
		t.Skip("files are read, and nothing else")
	}
	scenes := scenesHere(t)
	rows := tableRows(t)
	everywhere := testsEverywhere(t)
	for name, bugs := range scenes {
		row := rows[name]
		if row == "" {
			t.Errorf("%s has no row in docs/testing.md", name)
		}
		for _, bug := range bugs {
			if !strings.Contains(row, "`"+bug+"`") {
				t.Errorf("the row of %s does not name the bug %s", name, bug)
			}
		}
	}
	for name := range rows {
		if !everywhere[name] {
			t.Errorf("docs/testing.md names %s, and there is no such test", name)
		}
	}
}

// scenesHere are the scenes of this package, with the bugs of each.
func scenesHere(t *testing.T) map[string][]string {
	t.Helper()
	names := map[string]string{}
	for _, m := range mutant.All() {
		names[strings.ReplaceAll(m.String(), "-", "")] = m.String()
	}
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	scenes := map[string][]string{}
	for _, file := range files {
		src := readFile(t, file)
		starts := testStart.FindAllStringSubmatchIndex(src, -1)
		for i, at := range starts {
			end := len(src)
			if i+1 < len(starts) {
				end = starts[i+1][0]
			}
			body := src[at[0]:end]
			if !proves.MatchString(body) || strings.Contains(body, "tableSection") {
				continue
			}
			name := src[at[2]:at[3]]
			scenes[name] = []string{}
			for _, m := range mutantName.FindAllStringSubmatch(body, -1) {
				if bug, ok := names[strings.ToLower(m[1])]; ok {
					scenes[name] = append(scenes[name], bug)
				}
			}
		}
	}
	if len(scenes) < 40 {
		t.Fatalf("only %d scenes were found", len(scenes))
	}
	return scenes
}

// tableRows are the rows of the table by the tests that they name, those that name one
// together.
func tableRows(t *testing.T) map[string]string {
	t.Helper()
	_, section, found := strings.Cut(readFile(t, "../../docs/testing.md"), tableSection)
	if !found {
		t.Fatalf("docs/testing.md has no section %q", tableSection)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	rows := map[string]string{}
	for line := range strings.Lines(section) {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		for _, m := range testName.FindAllStringSubmatch(line, -1) {
			rows[m[1]] += line
		}
	}
	return rows
}

// testsEverywhere are all tests of the module.
func testsEverywhere(t *testing.T) map[string]bool {
	t.Helper()
	tests := map[string]bool{}
	for _, root := range []string{"../../internal", "../../sim"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			for _, m := range testStart.FindAllStringSubmatch(readFile(t, path), -1) {
				tests[m[1]] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return tests
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
