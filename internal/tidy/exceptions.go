package tidy

import "strings"

// Exception excuses a rule's problems in a place.
type Exception struct {
	Rule string
	// Path is a file, or with a slash at the end everything in a directory.
	Path string
	// Subject is the function, type or import excused; empty is any.
	Subject string
	// Why is for the reader.
	Why string
}

// Exceptions is the whole list. It is short, and each entry says why.
var Exceptions = []Exception{
	{
		Rule: "floor", Path: "internal/wire/", Subject: "internal/kv",
		Why: "messages are made of the vocabulary; the two are one floor's two halves",
	},
}

func (e Exception) covers(p Problem) bool {
	inPlace := e.Path == p.Path ||
		strings.HasSuffix(e.Path, "/") && strings.HasPrefix(p.Path, e.Path)
	return inPlace && e.Rule == p.Rule && (e.Subject == "" || e.Subject == p.Subject)
}

// excuse drops the problems that an exception covers, and adds one for each
// exception that covers none.
func excuse(found []Problem, exceptions []Exception) []Problem {
	used := make([]bool, len(exceptions))
	var left []Problem
	for _, p := range found {
		excused := false
		for i, e := range exceptions {
			if e.covers(p) {
				excused, used[i] = true, true
			}
		}
		if !excused {
			left = append(left, p)
		}
	}
	for i, e := range exceptions {
		if !used[i] {
			left = append(left, Problem{
				Path: "internal/tidy/exceptions.go", Line: 1, Rule: "exception",
				Subject: e.Path, Text: "excuses nothing any more: " + e.Rule + " in " + e.Path,
			})
		}
	}
	return left
}
