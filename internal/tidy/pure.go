package tidy

import (
	"go/ast"
	"path"
	"slices"
	"strings"
)

// core is the pure packages: what they do follows from their inputs alone, so
// that the simulator can own time, order, network and disk.
var core = []string{
	"internal/kv", "internal/wire", "internal/keyspace", "internal/mvcc",
	"internal/placement", "internal/replica", "internal/oracle", "internal/member",
	"internal/lease", "internal/txn", "internal/watch", "internal/worker",
}

// worldly are the packages that reach outside the process.
var worldly = []string{"os", "os/exec", "os/signal", "net", "net/http", "syscall", "crypto/rand"}

// clocks are the functions of package time that read or wait for the clock.
var clocks = []string{
	"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker",
}

// seeded are the functions of math/rand/v2 that draw nothing themselves.
var seeded = []string{"New", "NewPCG", "NewChaCha8", "NewZipf"}

// coreIsPure: the core has no goroutine, clock, randomness, file or socket.
func coreIsPure(f *file) []Problem {
	if !slices.Contains(core, f.dir()) || f.isTest() {
		return nil
	}
	var found []Problem
	for _, spec := range f.ast.Imports {
		if p := importPath(spec.Path.Value); slices.Contains(worldly, p) {
			found = append(found, f.problem("pure", spec.Pos(), p,
				"imports %s: the core has no files, sockets or entropy of its own", p))
		}
	}
	clock, random := f.nameOf("time"), f.nameOf("math/rand/v2")
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = append(found, f.problem("pure", n.Pos(), "go",
				"starts a goroutine: the core runs in its caller's"))
		case *ast.SelectorExpr:
			if name := qualified(n, clock); slices.Contains(clocks, name) {
				found = append(found, f.problem("pure", n.Pos(), "time."+name,
					"uses time.%s: time comes to the core in events", name))
			}
		case *ast.CallExpr:
			name := qualified(n.Fun, random)
			if name != "" && !slices.Contains(seeded, name) {
				found = append(found, f.problem("pure", n.Pos(), "rand."+name,
					"calls rand.%s: the core draws from a seeded source that it was given", name))
			}
		}
		return true
	})
	return found
}

// nameOf is the name that the file knows the imported package by, or "".
func (f *file) nameOf(imported string) string {
	for _, spec := range f.ast.Imports {
		if importPath(spec.Path.Value) != imported {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(strings.TrimSuffix(imported, "/v2"))
	}
	return ""
}

// qualified is Name if expr is pkg.Name, and otherwise "".
func qualified(expr ast.Expr, pkg string) string {
	selector, ok := expr.(*ast.SelectorExpr)
	if !ok || pkg == "" {
		return ""
	}
	if left, ok := selector.X.(*ast.Ident); ok && left.Name == pkg {
		return selector.Sel.Name
	}
	return ""
}
