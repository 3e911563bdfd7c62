package sim

import (
	"fmt"
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
)

// explainRest finds, for every commit that no answered operation made, another
// one whose fate is unknown and that would have left just that, each for one
// commit alone.
func (c *checker) explainRest() error {
	m := matching{checker: c, taken: map[*Op]kv.Revision{}}
	for i := range c.history.Commits {
		commit := &c.history.Commits[i]
		if c.claims[commit.Revision] != nil || c.endsLease(commit) {
			continue
		}
		if !m.place(commit, map[*Op]bool{}) {
			return fmt.Errorf("commit %v in %v is of no operation, or of one that was answered "+
				"otherwise, refused, or made another: %+v",
				commit.Revision, commit.Shard, commit.Writes)
		}
	}
	return nil
}

// matching gives operations to commits, each to one; to find a place for a commit it
// moves others along (augmenting paths).
type matching struct {
	*checker
	taken map[*Op]kv.Revision
}

func (m *matching) place(commit *Commit, tried map[*Op]bool) bool {
	for _, op := range m.history.Ops {
		if tried[op] || !m.fits(op, commit) {
			continue
		}
		tried[op] = true
		other, ok := m.taken[op]
		if !ok || m.place(m.commits[other], tried) {
			m.taken[op] = commit.Revision
			return true
		}
	}
	return false
}

// fits reports whether an operation could be the one that made a commit.
func (c *checker) fits(op *Op, commit *Commit) bool {
	if op.Txn == nil || op.Fate() != Unknown || c.floors[op] >= commit.Revision {
		return false
	}
	v := &view{model: c.model, at: commit.Revision - 1, rev: commit.Revision}
	v.run(op.Txn)
	return !v.missing && slices.Equal(v.writes, commit.Writes)
}

// sameTxn compares answers to a transaction but for its own revision, which is
// checked apart.
func sameTxn(want, got *kv.TxnResponse) error {
	if want.Succeeded != got.Succeeded || len(want.Results) != len(got.Results) {
		return fmt.Errorf("wrong outcome: the compares say %v", want.Succeeded)
	}
	for i := range want.Results {
		if err := sameResult(&want.Results[i], &got.Results[i]); err != nil {
			return fmt.Errorf("result %d: %w", i, err)
		}
	}
	return nil
}

func sameResult(want, got *kv.Result) error {
	switch {
	case want.Put != nil && got.Put != nil:
		if want.Put.Version != got.Put.Version || !samePair(want.Put.Prev, got.Put.Prev) {
			return differ("put", want, got)
		}
		return nil
	case want.Delete != nil && got.Delete != nil:
		if want.Delete.Deleted != got.Delete.Deleted ||
			!slices.EqualFunc(want.Delete.Prev, got.Delete.Prev, equalPairs) {
			return differ("delete", want, got)
		}
		return nil
	case want.Range != nil && got.Range != nil:
		return sameRange(want.Range, got.Range)
	case want.Txn != nil && got.Txn != nil:
		return sameTxn(want.Txn, got.Txn)
	}
	return differ("kind of result", want, got)
}

// differ says what was wanted, and below it what was told.
func differ(what string, want, got *kv.Result) error {
	return fmt.Errorf("wrong %s\n  want %s\n  got  %s", what, describeResult(want),
		describeResult(got))
}

// sameRange compares answers to a range.
func sameRange(want, got *kv.RangeResponse) error {
	if want.Revision == got.Revision && want.More == got.More && want.Count == got.Count &&
		slices.EqualFunc(want.KVs, got.KVs, equalPairs) {
		return nil
	}
	return fmt.Errorf("wrong read\n  want %s\n  got  %s", describeRangeResponse(want),
		describeRangeResponse(got))
}

func samePair(a, b *kv.KeyValue) bool {
	if a == nil || b == nil {
		return a == b
	}
	return equalPairs(*a, *b)
}

func equalPairs(a, b kv.KeyValue) bool {
	return string(a.Key) == string(b.Key) && string(a.Value) == string(b.Value) &&
		a.CreateRevision == b.CreateRevision && a.ModRevision == b.ModRevision &&
		a.Version == b.Version && a.Lease == b.Lease
}
