package kvtest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/miruvor/miruvor/internal/kv"
)

// atOnce runs every task on a goroutine of its own, and tells their errors,
// joined, when all have returned.
func atOnce(tasks ...func() error) <-chan error {
	ended := make(chan error, 1)
	go func() {
		errs := make([]error, len(tasks))
		var wg sync.WaitGroup
		for i, task := range tasks {
			wg.Go(func() { errs[i] = task() })
		}
		wg.Wait()
		ended <- errors.Join(errs...)
	}()
	return ended
}

// together runs the tasks at once until all have returned.
func (c *testCase) together(tasks ...func() error) {
	c.Helper()
	if err := <-atOnce(tasks...); err != nil {
		c.Fatal(err)
	}
}

// revokedUnderPuts revokes a lease while clients hang keys on it: what was put
// in time goes with it, and nothing can be put after.
func revokedUnderPuts(c *testCase) {
	const clients, puts = 3, 40
	c.mustGrant(7, 60)
	hung := make(chan kv.Revision, clients*puts)
	var revoked kv.Revision
	tasks := []func() error{func() (err error) {
		// Let some be put first.
		for range clients {
			<-hung
		}
		revoked, err = c.store.LeaseRevoke(c.ctx, 7)
		return err
	}}
	for client := range clients {
		tasks = append(tasks, func() error { return c.hangKeys(client, puts, hung) })
	}
	c.together(tasks...)
	close(hung)
	for rev := range hung {
		if rev > revoked {
			c.Fatalf("a key was hung at %v on a lease revoked at %v", rev, revoked)
		}
	}
	if left := c.mustRange(kv.RangeRequest{}); len(left.KVs) > 0 {
		c.Fatalf("revoked at %v, but these are left:%s", revoked, printedKVs(left.KVs, 0))
	}
}

// hangKeys puts keys on several shards at once until the lease is gone, and
// tells the revision of each.
func (c *testCase) hangKeys(client, puts int, hung chan<- kv.Revision) error {
	for i := range puts {
		suffix := fmt.Sprintf("%d/%d", client, i)
		resp, err := c.store.Txn(c.ctx, kv.TxnRequest{Success: []kv.Op{
			{Put: &kv.PutRequest{Key: key("a/" + suffix), Lease: 7}},
			{Put: &kv.PutRequest{Key: key("n/" + suffix), Lease: 7}},
		}})
		switch {
		case errors.Is(err, kv.ErrLeaseNotFound):
			return nil
		case errors.Is(err, kv.ErrConflict):
			continue
		case err != nil:
			return fmt.Errorf("put: %w", err)
		}
		hung <- resp.Revision
	}
	return nil
}

// compactedUnderReads compacts while others write, read and watch: a read at a
// revision is right or refused, and a watch tells all there was until it ends.
func compactedUnderReads(c *testCase) {
	const writes = 60
	w := c.newWatcher()
	told := w.mustAdd(kv.WatchRequest{From: c.start + 1})
	written := make(chan kv.Revision)
	c.together(
		func() error {
			defer close(written)
			for i := range writes {
				if err := c.writeTwice(i + 1); err != nil {
					return err
				}
				written <- c.start + kv.Revision(i+1)
			}
			return nil
		},
		func() (err error) {
			for last := range written {
				if err == nil {
					err = c.readAround(last)
				}
			}
			return err
		},
	)
	w.progress()
	if told.compacted != 0 && told.compacted <= c.start+1 {
		c.Fatalf("the watch from %v ended as %v is the oldest left", c.start+1, told.compacted)
	}
	for i, e := range told.events {
		if want := c.start + 1 + kv.Revision(i/2); e.KV.ModRevision != want {
			c.Fatalf("event %d is at %v, want %v", i, e.KV.ModRevision, want)
		}
	}
	if told.compacted == 0 && len(told.events) != 2*writes {
		c.Fatalf("%d events, want %d", len(told.events), 2*writes)
	}
}

// writeTwice puts i to keys of two shards; it is written i revisions after the
// start.
func (c *testCase) writeTwice(i int) error {
	value := []byte(strconv.Itoa(i))
	_, err := c.store.Txn(c.ctx, kv.TxnRequest{Success: []kv.Op{
		{Put: &kv.PutRequest{Key: key("a"), Value: value}},
		{Put: &kv.PutRequest{Key: key("n"), Value: value}},
	}})
	return err
}

// readAround compacts below last every now and then, and reads on both sides.
func (c *testCase) readAround(last kv.Revision) error {
	const every = 7
	floor := last - (last-c.start)%every
	if floor == last {
		if _, err := c.store.Compact(c.ctx, floor-1); err != nil {
			return fmt.Errorf("compact at %v: %w", floor-1, err)
		}
	}
	if floor > c.start {
		floor--
	}
	for rev := max(c.start+1, floor-3); rev <= last; rev++ {
		got, err := c.store.Range(c.ctx, kv.RangeRequest{Revision: rev})
		switch {
		case errors.Is(err, kv.ErrCompacted) && rev < floor:
		case err != nil:
			return fmt.Errorf("read at %v, compacted at %v: %w", rev, floor, err)
		case rev < floor:
			return fmt.Errorf("read at %v, compacted at %v: no error", rev, floor)
		case printedValues(got.KVs) != fmt.Sprintf("%[1]d %[1]d ", rev-c.start):
			return fmt.Errorf("read at %v:%s", rev, printedKVs(got.KVs, c.start))
		}
	}
	return nil
}

func printedValues(pairs []kv.KeyValue) string {
	var out strings.Builder
	for _, pair := range pairs {
		out.WriteString(string(pair.Value) + " ")
	}
	return out.String()
}
