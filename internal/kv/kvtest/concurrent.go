package kvtest

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/miruvor/miruvor/internal/kv"
)

// counters lets several clients add to one key by compare-and-set. No
// addition may get lost, and every success must have its own revision.
func counters(c *testCase) {
	const clients, additions = 4, 15
	revisions := make(chan kv.Revision, clients*additions)
	var tasks []func() error
	for range clients {
		tasks = append(tasks, func() error {
			for range additions {
				rev, err := add(c.ctx, c.store, key("counter"))
				if err != nil {
					return err
				}
				revisions <- rev
			}
			return nil
		})
	}
	c.together(tasks...)
	close(revisions)
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

// transfers moves amounts between accounts on different shards while others
// read them all: the total is the same at every revision.
func transfers(c *testCase) {
	const clients, each, begin = 3, 10, 100
	accounts := [][]byte{key("a/account"), key("b/2/account"), key("n/account"), key("r/2/account")}
	var open kv.TxnRequest
	for _, account := range accounts {
		put := kv.PutRequest{Key: account, Value: []byte(strconv.Itoa(begin))}
		open.Success = append(open.Success, kv.Op{Put: &put})
	}
	c.mustWrite(open)
	var tasks []func() error
	for client := range clients {
		tasks = append(tasks, func() error {
			return transferSome(c.ctx, c.store, accounts, client, each)
		})
	}
	ended := atOnce(tasks...)
	for transferring := true; transferring; {
		select {
		case err := <-ended:
			if err != nil {
				c.Fatal(err)
			}
			transferring = false
		default:
			c.checkTotal(kv.RangeRequest{}, begin*len(accounts))
		}
	}
	last := c.revision()
	if last != c.start+1+clients*each {
		c.Fatalf("%d transfers after %v ended at %v", clients*each, c.start+1, last)
	}
	for rev := c.start + 1; rev <= last; rev++ {
		c.checkTotal(kv.RangeRequest{Revision: rev}, begin*len(accounts))
	}
}

func (c *testCase) checkTotal(req kv.RangeRequest, want int) {
	c.Helper()
	got := c.mustRange(req)
	total := 0
	for _, pair := range got.KVs {
		amount, err := strconv.Atoi(string(pair.Value))
		if err != nil {
			c.Fatal(err)
		}
		total += amount
	}
	if total != want {
		c.Fatalf("the total is %d, want %d:%s", total, want, printedKVs(got.KVs, c.start))
	}
}

func transferSome(
	ctx context.Context, store kv.Store, accounts [][]byte, client, transfers int,
) error {
	for i := 0; i < transfers; {
		from := accounts[(client+i)%len(accounts)]
		to := accounts[(client+i+1+i%3)%len(accounts)]
		done, err := transfer(ctx, store, from, to, 1+i)
		if err != nil && !errors.Is(err, kv.ErrConflict) {
			return fmt.Errorf("transfer: %w", err)
		}
		if done {
			i++
		}
	}
	return nil
}

// transfer moves amount if nobody changes the two accounts meanwhile.
func transfer(
	ctx context.Context, store kv.Store, from, to []byte, amount int,
) (bool, error) {
	read, err := store.Txn(ctx, kv.TxnRequest{Success: []kv.Op{
		{Range: &kv.RangeRequest{Range: kv.PointRange(from)}},
		{Range: &kv.RangeRequest{Range: kv.PointRange(to)}},
	}})
	if err != nil {
		return false, err
	}
	var write kv.TxnRequest
	for i, change := range [...]int{-amount, amount} {
		pair := read.Results[i].Range.KVs[0]
		before, err := strconv.Atoi(string(pair.Value))
		if err != nil {
			return false, err
		}
		after := []byte(strconv.Itoa(before + change))
		write.Compares = append(write.Compares, kv.Compare{
			Key: pair.Key, Target: kv.CompareMod, Number: int64(pair.ModRevision),
		})
		write.Success = append(write.Success,
			kv.Op{Put: &kv.PutRequest{Key: pair.Key, Value: after}})
	}
	done, err := store.Txn(ctx, write)
	return done.Succeeded, err
}
