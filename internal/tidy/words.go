package tidy

import (
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
)

var (
	// leftover matches the words that mark a thing as not done. They are
	// taken apart here lest this line be found.
	leftover = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)
	// machinePath matches paths of the machine that somebody works on.
	machinePath = regexp.MustCompile(`(^|[^\w.])/(work|root|home)/`)
)

// nothingIsLeftForLater: what is not done is an issue, not a comment.
func nothingIsLeftForLater(f *file) []Problem {
	var found []Problem
	for _, group := range f.ast.Comments {
		for _, comment := range group.List {
			if word := leftover.FindString(comment.Text); word != "" {
				found = append(found, f.problem("leftover", comment.Pos(), word,
					"%s: do it, or open an issue", word))
			}
		}
	}
	return found
}

// testsDoNotSleep: a test waits for what it waits for, or runs in the fake
// time of a synctest bubble.
func testsDoNotSleep(f *file) []Problem {
	clock, bubble := f.nameOf("time"), f.nameOf("testing/synctest")
	if !f.isTest() || clock == "" {
		return nil
	}
	var found []Problem
	ast.Inspect(f.ast, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if qualified(call.Fun, bubble) == "Test" {
			return false
		}
		if qualified(call.Fun, clock) == "Sleep" {
			found = append(found, f.problem("sleep", call.Pos(), "",
				"a test sleeps by the real clock: use testing/synctest, or wait for the event"))
		}
		return true
	})
	return found
}

// randomnessIsModern: math/rand of the first version hides a global source.
func randomnessIsModern(f *file) []Problem {
	var found []Problem
	for _, spec := range f.ast.Imports {
		if importPath(spec.Path.Value) == "math/rand" {
			found = append(found, f.problem("rand", spec.Pos(), "", "use math/rand/v2"))
		}
	}
	return found
}

func noMachinePaths(f *file) []Problem {
	var found []Problem
	number := 0
	for line := range strings.Lines(f.src) {
		number++
		if place := machinePath.FindString(line); place != "" {
			found = append(found, f.problem("machine-path", f.lineStart(number), "",
				"a path of somebody's machine: %s", strings.TrimSpace(line)))
		}
	}
	return found
}

// packagesHaveDocs: every package says in exactly one file what it is. In a
// package of tests alone, a test file says it.
func packagesHaveDocs(files []*file) []Problem {
	byDir := map[string][]*file{}
	for _, f := range files {
		byDir[f.dir()] = append(byDir[f.dir()], f)
	}
	var found []Problem
	for dir, members := range byDir {
		if slices.ContainsFunc(members, func(f *file) bool { return !f.isTest() }) {
			members = slices.DeleteFunc(members, (*file).isTest)
		}
		documented := slices.DeleteFunc(slices.Clone(members), func(f *file) bool {
			return !f.hasPackageDoc()
		})
		switch len(documented) {
		case 0:
			found = append(found, members[0].problem("package-doc", members[0].ast.Package, dir,
				"package %s has no doc that says what it owns", path.Base(dir)))
		case 1:
		default:
			second := documented[1]
			found = append(found, second.problem("package-doc", second.ast.Package, dir,
				"the package's doc already stands in %s", documented[0].path))
		}
	}
	return found
}

// hasPackageDoc reports whether the file opens as godoc wants it: "Package
// kv …", or "Miruvor …" and the like for a command.
func (f *file) hasPackageDoc() bool {
	name := strings.TrimSuffix(f.ast.Name.Name, "_test")
	text := f.ast.Doc.Text()
	if name == "main" {
		return text != ""
	}
	return strings.HasPrefix(text, "Package "+name+" ")
}
