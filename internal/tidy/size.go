package tidy

import (
	"go/ast"
	"go/token"
	"strings"
	"unicode/utf8"
)

// The bounds. What outgrows one hides a type that wants a name.
const (
	fileLinesMax     = 600
	functionLinesMax = 70
	structFieldsMax  = 15
	lineColumnsMax   = 100
	tabColumns       = 4
)

func filesAreShort(f *file) []Problem {
	lines := strings.Count(f.src, "\n")
	if lines <= fileLinesMax {
		return nil
	}
	return []Problem{f.problem("file-size", f.ast.Package, "",
		"%d lines, at most %d: it does more than one thing", lines, fileLinesMax)}
}

func functionsAreShort(f *file) []Problem {
	var found []Problem
	for _, decl := range f.ast.Decls {
		function, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		lines := f.line(function.End()) - f.line(function.Type.Func) + 1
		if name := function.Name.Name; lines > functionLinesMax {
			found = append(found, f.problem("function-size", function.Pos(), name,
				"%s has %d lines, at most %d", name, lines, functionLinesMax))
		}
	}
	return found
}

func structsAreSmall(f *file) []Problem {
	var found []Problem
	report := func(pos token.Pos, name string, s *ast.StructType) {
		if fields := s.Fields.NumFields(); fields > structFieldsMax {
			found = append(found, f.problem("struct-size", pos, name,
				"%s has %d fields, at most %d", name, fields, structFieldsMax))
		}
	}
	named := map[*ast.StructType]bool{}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.TypeSpec:
			if s, ok := n.Type.(*ast.StructType); ok {
				named[s] = true
				report(n.Pos(), n.Name.Name, s)
			}
		case *ast.StructType:
			if !named[n] {
				report(n.Pos(), "struct", n)
			}
		}
		return true
	})
	return found
}

// linesAreNarrow counts runes, a tab as four. A line with an URL, or with a
// directive to the compiler, cannot be broken.
func linesAreNarrow(f *file) []Problem {
	var found []Problem
	number := 0
	for line := range strings.Lines(f.src) {
		number++
		line = strings.TrimRight(line, "\r\n")
		columns := utf8.RuneCountInString(line) + strings.Count(line, "\t")*(tabColumns-1)
		unbreakable := strings.Contains(line, "://") || strings.HasPrefix(line, "//go:")
		if columns <= lineColumnsMax || unbreakable {
			continue
		}
		found = append(found, f.problem("width", f.lineStart(number), "",
			"%d columns, at most %d", columns, lineColumnsMax))
	}
	return found
}

func (f *file) lineStart(number int) token.Pos {
	return f.fset.File(f.ast.FileStart).LineStart(number)
}
