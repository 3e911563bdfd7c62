package kvtest

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/miruvor/miruvor/internal/kv"
)

// counters lets several clients add to one key by compare-and-set. No
// addition may get lost, and every success must have its own revision.
func counters(c *testCase) {
	const clients, additions = 4, 15
	revisions := make(chan kv.Revision, clients*additions)
	errs := make(chan error, clients)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for range additions {
				rev, err := add(c.ctx, c.store, key("counter"))
				if err != nil {
					errs <- err
					return
				}
				revisions <- rev
			}
		})
	}
	wg.Wait()
	close(revisions)
	select {
	case err := <-errs:
		c.Fatal(err)
	default:
	}
	seen := map[kv.Revision]bool{}
	for rev := range revisions {
		if seen[rev] {
			c.Fatalf("two additions share %v", rev)
		}
		seen[rev] = true
	}
	got := c.mustRange(kv.RangeRequest{Range: kv.PointRange(key("counter"))}).KVs[0]
	if string(got.Value) != strconv.Itoa(clients*additions) || got.Version != clients*additions {
		c.Fatalf("%d additions made %q, version %d", clients*additions, got.Value, got.Version)
	}
}

// add adds one to the number at key and returns the revision at which it did.
func add(ctx context.Context, store kv.Store, key []byte) (kv.Revision, error) {
	for {
		resp, err := store.Range(ctx, kv.RangeRequest{Range: kv.PointRange(key)})
		if err != nil {
			return 0, fmt.Errorf("read: %w", err)
		}
		number, mod := 0, kv.Revision(0)
		if len(resp.KVs) > 0 {
			mod = resp.KVs[0].ModRevision
			if number, err = strconv.Atoi(string(resp.KVs[0].Value)); err != nil {
				return 0, err
			}
		}
		req := putOf(key, []byte(strconv.Itoa(number+1)))
		req.Compares = []kv.Compare{{Key: key, Target: kv.CompareMod, Number: int64(mod)}}
		done, err := store.Txn(ctx, req)
		if err != nil {
			return 0, fmt.Errorf("write: %w", err)
		}
		if done.Succeeded {
			return done.Revision, nil
		}
	}
}
