package bench

import "time"

// tally is what a client counts by itself; the tallies are merged at the end.
type tally struct {
	gets, puts histogram
	// missing counts the reads that found no key.
	missing int64
	errors  map[string]int64
}

func newTally() tally { return tally{errors: map[string]int64{}} }

func (t *tally) done(read, missing bool, took time.Duration) {
	if !read {
		t.puts.add(took)
		return
	}
	t.gets.add(took)
	if missing {
		t.missing++
	}
}

func (t *tally) failed(kind string) { t.errors[kind]++ }

func (t *tally) merge(o *tally) {
	t.gets.merge(&o.gets)
	t.puts.merge(&o.puts)
	t.missing += o.missing
	for kind, n := range o.errors {
		t.errors[kind] += n
	}
}
