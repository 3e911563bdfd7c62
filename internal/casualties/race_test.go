//go:build race

package casualties

// raced says that the race detector is on.
const raced = true
