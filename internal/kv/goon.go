package kv

import "context"

type goesOn struct{}

// GoingOn is a context for requests that go on with what was let in before, such as the
// further pages of a range. A store that has too much to do refuses what begins, and not
// them: what was done already would be lost, and begun anew.
func GoingOn(ctx context.Context) context.Context {
	return context.WithValue(ctx, goesOn{}, true)
}

// GoesOn reports whether a context is of GoingOn.
func GoesOn(ctx context.Context) bool { return ctx.Value(goesOn{}) != nil }
