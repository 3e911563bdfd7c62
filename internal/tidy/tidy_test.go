package tidy

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/cockroachdb/datadriven"
)

// TestTree holds this module to its rules.
func TestTree(t *testing.T) {
	problems, err := Tree(os.DirFS("../.."), Exceptions)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
}

// TestRules tells, for each rule, a source that breaks it and one that does
// not. The file command checks one source; tree checks several, each begun by
// a line "-- path --", with the exceptions that excuse=(rule,path) names.
func TestRules(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "file":
				return show(File(d.CmdArgs[0].Key, d.Input))
			case "tree":
				return tree(t, d)
			}
			return "unknown command " + d.Cmd
		})
	})
}

func tree(t *testing.T, d *datadriven.TestData) string {
	var exceptions []Exception
	if d.HasArg("excuse") {
		var rule, path string
		d.ScanArgs(t, "excuse", &rule, &path)
		exceptions = []Exception{{Rule: rule, Path: path}}
	}
	problems, err := Tree(archive(d.Input), exceptions)
	if err != nil {
		return err.Error()
	}
	return show(problems)
}

// archive makes a file system of sources that begin with "-- path --".
func archive(text string) fstest.MapFS {
	files := fstest.MapFS{}
	name := ""
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "-- "); ok {
			name = strings.TrimSuffix(strings.TrimSpace(rest), " --")
			files[name] = &fstest.MapFile{}
			continue
		}
		files[name].Data = append(files[name].Data, line...)
	}
	return files
}

func show(problems []Problem) string {
	if len(problems) == 0 {
		return "tidy"
	}
	var b strings.Builder
	for _, p := range problems {
		fmt.Fprintln(&b, p)
	}
	return b.String()
}

// TestBounds puts sources on both sides of each bound.
func TestBounds(t *testing.T) {
	lines := func(n int) string { return strings.Repeat("\n", n) }
	function := func(n int) string { return "package kv\n\nfunc f() {" + lines(n-1) + "}\n" }
	fields := func(n int) string {
		return "package kv\n\ntype s struct {\n" + strings.Repeat("\t_ int\n", n) + "}\n"
	}
	comment := func(n int) string { return "package kv\n\n//" + strings.Repeat("é", n-2) + "\n" }
	indented := func(n int) string { return "package kv\n\n\t//" + strings.Repeat("x", n-6) + "\n" }
	tests := []struct {
		name    string
		inside  string
		outside string
		want    string
	}{
		{
			"file-size", "package kv" + lines(600), "package kv" + lines(601),
			"601 lines, at most 600",
		},
		{"function-size", function(70), function(71), "f has 71 lines, at most 70"},
		{"struct-size", fields(15), fields(16), "s has 16 fields, at most 15"},
		{"width", comment(100), comment(101), "101 columns, at most 100"},
		{"width", indented(100), indented(101), "101 columns, at most 100"},
	}
	for _, test := range tests {
		if found := File("internal/kv/x.go", test.inside); len(found) > 0 {
			t.Errorf("%s at the bound: %v", test.name, found)
		}
		found := File("internal/kv/x.go", test.outside)
		want := fmt.Sprintf("%s: %s", test.name, test.want)
		if len(found) != 1 || !strings.Contains(found[0].String(), want) {
			t.Errorf("past the bound: got %v, want %q", found, want)
		}
	}
}

// TestMachinePaths is told apart from testdata because its sources would be
// found by those who look for such paths.
func TestMachinePaths(t *testing.T) {
	for _, dir := range []string{"work", "root", "home"} {
		src := "package kv\n\nconst p = \"/" + dir + "/me\"\n"
		if found := File("internal/kv/x.go", src); len(found) != 1 || found[0].Line != 3 {
			t.Errorf("%s: %v", dir, found)
		}
	}
	src := "package kv\n\nconst p = \"a/" + "work/b ./" + "home/c /homes/d\"\n"
	if found := File("internal/kv/x.go", src); len(found) > 0 {
		t.Error(found)
	}
}
