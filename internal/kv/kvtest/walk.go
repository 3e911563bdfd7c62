package kvtest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// Walk sends the same random requests to the store and to the fake and
// compares every answer, and what watches tell, revisions counted from where
// each began. Run walks from seed 0; others go elsewhere.
func Walk(t *testing.T, store kv.Store, seed uint64) { walkFrom(begin(t, store), seed) }

func randomWalk(c *testCase) { walkFrom(c, 0) }

func walkFrom(c *testCase, first uint64) {
	const steps, watched = 600, 40
	fake := *c
	fake.store, fake.start = kvfake.New(), kv.FirstRevision
	w := &walk{testCase: c, fake: &fake}
	var got, want *watcher
	for step := range uint64(steps) {
		seed := first*steps + step
		if step%watched == 0 {
			w.sameEvents(seed, got, want)
			current := c.revision() - c.start
			got, want = c.watchSome(seed, current), fake.watchSome(seed, current)
		}
		switch dice := newRand(seed).IntN(20); {
		case dice < 2:
			w.compareLease(seed)
		case dice < 3:
			// A compaction may end watches that have not told everything yet.
			got.progress()
			want.progress()
			w.compareCompact(seed)
		case dice < 8:
			w.compareRange(seed)
		default:
			w.compareTxn(seed)
		}
	}
	w.sameEvents(first*steps+steps, got, want)
}

// walk is a case at the store under test beside one at the fake.
type walk struct {
	*testCase
	fake *testCase
}

// watchSome opens a stream with a few watches, one of everything from now, and
// others from revisions up to current, counted from the start.
func (c *testCase) watchSome(seed uint64, current kv.Revision) *watcher {
	d := &dice{newRand(seed), c.start}
	w := c.newWatcher()
	w.mustAdd(kv.WatchRequest{PrevKV: true})
	for range 4 {
		w.mustAdd(d.watch(current))
	}
	w.progress()
	return w
}

// sameEvents compares what two streams told, and closes them.
func (w *walk) sameEvents(seed uint64, got, want *watcher) {
	w.Helper()
	if got == nil {
		return
	}
	got.progress()
	want.progress()
	for id := range want.watches {
		told := printedEvents(got.watches[id], w.start)
		if should := printedEvents(want.watches[id], w.fake.start); told != should {
			w.Fatalf("seed %d, watch %d %+v:\ngot  %s\nwant %s",
				seed, id, got.watches[id].req, told, should)
		}
	}
	got.stream.Close()
	want.stream.Close()
}

func printedEvents(of *watched, start kv.Revision) string {
	var out strings.Builder
	if of.compacted != 0 {
		fmt.Fprintf(&out, "ended, %d is left", of.compacted-start)
	}
	for i := range of.events {
		e := &of.events[i]
		pairs := []kv.KeyValue{e.KV}
		if e.Deleted {
			// It has no create revision to count from the start.
			pairs[0].CreateRevision = start
		}
		if e.Prev != nil {
			pairs = append(pairs, *e.Prev)
		}
		fmt.Fprintf(&out, " deleted=%v%s;", e.Deleted, printedKVs(pairs, start))
	}
	return out.String()
}

// compareLease grants, revokes or looks at a lease.
func (w *walk) compareLease(seed uint64) {
	got, gotErr := w.useLease(seed)
	want, wantErr := w.fake.useLease(seed)
	w.same(seed, got, want, gotErr, wantErr)
}

func (c *testCase) useLease(seed uint64) (string, error) {
	d := &dice{newRand(seed), c.start}
	id, chance := d.lease(), d.IntN(10)
	switch {
	case chance < 4:
		l, err := c.store.LeaseGrant(c.ctx, kv.LeaseGrantRequest{ID: id, TTL: 1000})
		return fmt.Sprintf("+%d lease %d of %d", l.Revision-c.start, l.ID, l.Granted), err
	case chance < 6:
		rev, err := c.store.LeaseRevoke(c.ctx, id)
		return fmt.Sprintf("+%d revoked", rev-c.start), err
	case chance < 7:
		l, err := c.store.LeaseKeepAlive(c.ctx, id)
		return fmt.Sprintf("+%d kept %d of %d", l.Revision-c.start, l.ID, l.Granted), err
	}
	l, err := c.store.LeaseTimeToLive(c.ctx, id, true)
	return fmt.Sprintf("+%d lease %d of %d: %q", l.Revision-c.start, l.ID, l.Granted, l.Keys), err
}

func (w *walk) compareCompact(seed uint64) {
	got, gotErr := w.store.Compact(w.ctx, (&dice{newRand(seed), w.start}).revision())
	want, wantErr := w.fake.store.Compact(w.ctx, (&dice{newRand(seed), w.fake.start}).revision())
	w.same(seed, fmt.Sprint(got-w.start), fmt.Sprint(want-w.fake.start), gotErr, wantErr)
}

func (w *walk) compareRange(seed uint64) {
	wantReq := (&dice{newRand(seed), w.fake.start}).readRequest()
	want, wantErr := w.fake.store.Range(w.ctx, wantReq)
	gotReq := (&dice{newRand(seed), w.start}).readRequest()
	got, gotErr := w.store.Range(w.ctx, gotReq)
	w.same(seed, printed(&got, w.start), printed(&want, w.fake.start), gotErr, wantErr)
}

func (w *walk) compareTxn(seed uint64) {
	wantReq := (&dice{newRand(seed), w.fake.start}).txn(0)
	want, wantErr := w.fake.store.Txn(w.ctx, wantReq)
	gotReq := (&dice{newRand(seed), w.start}).txn(0)
	got, gotErr := w.store.Txn(w.ctx, gotReq)
	w.same(seed, printedTxn(&got, w.start), printedTxn(&want, w.fake.start), gotErr, wantErr)
}

func (w *walk) same(seed uint64, got, want string, gotErr, wantErr error) {
	w.Helper()
	switch {
	case gotErr != nil && wantErr != nil && failure(gotErr) == failure(wantErr):
	case gotErr != nil || wantErr != nil:
		w.Fatalf("seed %d: the error is %v, the fake's %v", seed, gotErr, wantErr)
	case got != want:
		w.Fatalf("seed %d:\ngot  %s\nwant %s", seed, got, want)
	}
}

// printed is resp as text, revisions counted from start. An answer inside a
// transaction has no revision of its own, so resp's is left to the caller.
func printed(resp *kv.RangeResponse, start kv.Revision) string {
	out := fmt.Sprintf("+%d more=%v count=%d", resp.Revision-start, resp.More, resp.Count)
	return out + printedKVs(resp.KVs, start)
}

func printedKVs(kvs []kv.KeyValue, start kv.Revision) string {
	var out strings.Builder
	for i := range kvs {
		v := kvs[i]
		if len(v.Value) == 0 {
			v.Lease = 0 // with keys only, etcd does not tell it
		}
		fmt.Fprintf(&out, " %q=%q(+%d +%d %d %d)", v.Key, v.Value,
			v.CreateRevision-start, v.ModRevision-start, v.Version, v.Lease)
	}
	return out.String()
}

func printedTxn(resp *kv.TxnResponse, start kv.Revision) string {
	var out strings.Builder
	fmt.Fprintf(&out, "+%d %v [", resp.Revision-start, resp.Succeeded)
	for _, result := range resp.Results {
		switch {
		case result.Range != nil:
			inner := *result.Range
			inner.Revision = start
			fmt.Fprintf(&out, "got %s;", printed(&inner, start))
		case result.Put != nil:
			fmt.Fprintf(&out, "put %d", result.Put.Version)
			if result.Put.Prev != nil {
				out.WriteString(printedKVs([]kv.KeyValue{*result.Put.Prev}, start))
			}
			out.WriteByte(';')
		case result.Delete != nil:
			fmt.Fprintf(&out, "deleted %d%s;", result.Delete.Deleted,
				printedKVs(result.Delete.Prev, start))
		case result.Txn != nil:
			inner := *result.Txn
			inner.Revision = start
			out.WriteString(printedTxn(&inner, start))
		}
	}
	return out.String() + "]"
}
