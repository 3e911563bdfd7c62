// Package tidy holds the source of this module to the rules of
// CONTRIBUTING.md: which floor may import which, how large a thing may grow,
// and what never stands in a file.
//
// It owns the rules, the table of floors (floors.go) and the list of
// exceptions (exceptions.go), and looks at source through go/parser alone, so
// it needs no build. Only its own test uses it.
//
//	tree ─ Tree ─┬─ each file ── File ── rules ──┐
//	             └─ each package: has it a doc? ─┴─ minus exceptions ── problems
//
// A rule is a function from a parsed file to problems. An exception that
// excuses nothing any more is itself a problem, so the list only shrinks.
package tidy

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Module is the path that imports of this module's packages begin with.
const Module = "github.com/miruvor/miruvor"

// Problem is one place that breaks one rule.
type Problem struct {
	// Path is relative to the module's root, with slashes. Line counts from 1.
	Path string
	Line int
	// Rule is the name that an exception refers to.
	Rule string
	// Subject is the function, type or import that the problem is about, and
	// empty where the place says it all.
	Subject string
	Text    string
}

func (p Problem) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", p.Path, p.Line, p.Rule, p.Text)
}

// file is a parsed Go file as rules see it.
type file struct {
	path string
	src  string
	fset *token.FileSet
	ast  *ast.File
}

// rules look at one Go file each.
var rules = []func(*file) []Problem{
	importsGoDown,
	coreIsPure,
	filesAreShort,
	functionsAreShort,
	structsAreSmall,
	linesAreNarrow,
	nothingIsLeftForLater,
	testsDoNotSleep,
	randomnessIsModern,
	noMachinePaths,
}

func (f *file) dir() string  { return path.Dir(f.path) }
func (f *file) isTest() bool { return strings.HasSuffix(f.path, "_test.go") }

func (f *file) line(pos token.Pos) int { return f.fset.Position(pos).Line }

// problem reports that the thing called subject at pos breaks rule.
func (f *file) problem(rule string, pos token.Pos, subject, format string, args ...any) Problem {
	text := fmt.Sprintf(format, args...)
	return Problem{Path: f.path, Line: f.line(pos), Rule: rule, Subject: subject, Text: text}
}

// File checks one Go file by all rules that need no other file. The path is
// relative to the module's root. A file that does not parse is one problem.
func File(name, src string) []Problem {
	f, err := parse(name, src)
	if err != nil {
		return []Problem{{Path: name, Line: 1, Rule: "parse", Text: err.Error()}}
	}
	return f.check()
}

func parse(name, src string) (*file, error) {
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	return &file{path: name, src: src, fset: fset, ast: tree}, nil
}

func (f *file) check() []Problem {
	var found []Problem
	for _, rule := range rules {
		found = append(found, rule(f)...)
	}
	return found
}

// Tree checks every Go file below root, the module's directory, except
// testdata, hidden directories and nested modules. Problems come sorted by
// place, without those that exceptions excuse.
func Tree(root fs.FS, exceptions []Exception) ([]Problem, error) {
	var files []*file
	var found []Problem
	err := walk(root, func(name, src string) {
		f, err := parse(name, src)
		if err != nil {
			found = append(found, Problem{Path: name, Line: 1, Rule: "parse", Text: err.Error()})
			return
		}
		files = append(files, f)
		found = append(found, f.check()...)
	})
	if err != nil {
		return nil, err
	}
	found = append(found, packagesHaveDocs(files)...)
	found = excuse(found, exceptions)
	slices.SortStableFunc(found, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line))
	})
	return found, nil
}

// walk calls visit with each of the module's Go files.
func walk(root fs.FS, visit func(name, src string)) error {
	return fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && isForeign(root, name):
			return fs.SkipDir
		case entry.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		src, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		visit(name, string(src))
		return nil
	})
}

// isForeign reports whether the directory holds no source of this module.
func isForeign(root fs.FS, name string) bool {
	if name == "." {
		return false
	}
	base := path.Base(name)
	if base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true
	}
	_, err := fs.Stat(root, path.Join(name, "go.mod"))
	return err == nil
}
