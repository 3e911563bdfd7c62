package nodetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

const (
	clerks          = 4
	accountsAShard  = 3
	openingBalance  = 100
	transferTimeout = 3 * time.Second
	// deaths is how many processes are killed while money moves.
	deaths = 5
)

// bank moves money between accounts on different shards. Each transfer leaves a
// slip, in one transaction with what it does to the accounts.
type bank struct {
	c        *cluster
	accounts []string
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu     sync.Mutex
	slips  []slip
	audits int
	// problems are what must not have been seen.
	problems []error
}

// slip is a transfer that was tried. err is nil if it was acknowledged.
type slip struct {
	key, from, to string
	revision      kv.Revision
	err           error
}

// TestTransfers moves money between shards while leaders are killed: none is made
// or lost, at any revision, and what was acknowledged is there in the end.
func TestTransfers(t *testing.T) {
	if testing.Short() {
		t.Skip("takes about 10 s")
	}
	c := startCluster(t, "b", "c")
	b := openBank(c)
	for i := range deaths {
		victim := c.leader([]kv.ShardID{1, 2, 3, kv.SystemShard}[i%4])
		c.kill(victim)
		b.awaitTransfers(20)
		c.start(victim)
		c.awaitReady(victim)
		c.awaitCaughtUp()
	}
	b.close()
	c.check()
}

// openBank fills the accounts and has clerks and an auditor begin.
func openBank(c *cluster) *bank {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	b := &bank{c: c, cancel: cancel}
	open := kv.TxnRequest{}
	for shard := range 3 {
		for i := range accountsAShard {
			key := fmt.Sprintf("%c/%d", 'a'+shard, i)
			b.accounts = append(b.accounts, key)
			open.Success = append(open.Success, putBalance(key, openingBalance))
		}
	}
	await(c.t, "the bank to open", func(ctx context.Context) error {
		_, err := c.client.Txn(ctx, open)
		return err
	})
	for i := range clerks {
		b.running.Go(func() { b.clerk(ctx, i) })
	}
	b.running.Go(func() { b.auditor(ctx) })
	c.t.Cleanup(func() {
		cancel()
		b.running.Wait()
	})
	return b
}

func putBalance(key string, balance int) kv.Op {
	return kv.Op{Put: &kv.PutRequest{Key: []byte(key), Value: []byte(strconv.Itoa(balance))}}
}

// clerk transfers, through whichever node takes it.
func (b *bank) clerk(ctx context.Context, id int) {
	client := newClient(b.c.t, b.c.endpoints()...)
	for n := 0; ctx.Err() == nil; n++ {
		found, err := b.audit(ctx, client)
		if err != nil {
			continue
		}
		from := rand.IntN(len(b.accounts))
		to := (from + 1 + rand.IntN(len(b.accounts)-1)) % len(b.accounts)
		b.transfer(ctx, client, &slip{
			key: fmt.Sprintf("t/%d/%d", id, n), from: b.accounts[from], to: b.accounts[to],
		}, found)
	}
}

// transfer moves one unit, if both accounts are still as they were found.
func (b *bank) transfer(ctx context.Context, s kv.Store, t *slip, found map[string]kv.KeyValue) {
	ctx, cancel := context.WithTimeout(ctx, transferTimeout)
	defer cancel()
	resp, err := s.Txn(ctx, kv.TxnRequest{
		Compares: []kv.Compare{unchanged(found[t.from]), unchanged(found[t.to])},
		Success: []kv.Op{
			putBalance(t.from, balance(found[t.from])-1), putBalance(t.to, balance(found[t.to])+1),
			{Put: &kv.PutRequest{Key: []byte(t.key)}},
		},
	})
	if err == nil && !resp.Succeeded {
		return
	}
	t.revision, t.err = resp.Revision, err
	b.mu.Lock()
	defer b.mu.Unlock()
	b.slips = append(b.slips, *t)
}

func unchanged(pair kv.KeyValue) kv.Compare {
	return kv.Compare{Key: pair.Key, Target: kv.CompareMod, Number: int64(pair.ModRevision)}
}

func balance(pair kv.KeyValue) int {
	n, err := strconv.Atoi(string(pair.Value))
	if err != nil {
		return -1 << 30
	}
	return n
}

// auditor looks at all accounts all the time, on any node.
func (b *bank) auditor(ctx context.Context) {
	client := newClient(b.c.t, b.c.endpoints()...)
	for ctx.Err() == nil {
		_, _ = b.audit(ctx, client)
	}
}

// audit reads all accounts, and checks their sum.
func (b *bank) audit(ctx context.Context, s kv.Store) (map[string]kv.KeyValue, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	resp, err := s.Range(ctx, kv.RangeRequest{
		Range: kv.Range{Start: []byte("a/"), End: []byte("d")},
	})
	if err != nil {
		return nil, err
	}
	sum, found := 0, map[string]kv.KeyValue{}
	for _, pair := range resp.KVs {
		sum += balance(pair)
		found[string(pair.Key)] = pair
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.audits++
	if want := len(b.accounts) * openingBalance; sum != want {
		b.problems = append(b.problems, fmt.Errorf("at %v there is %d in %d accounts, want %d",
			resp.Revision, sum, len(resp.KVs), want))
	}
	return found, nil
}

// awaitTransfers waits for n more that are acknowledged.
func (b *bank) awaitTransfers(n int) {
	b.c.t.Helper()
	from := b.acknowledged()
	await(b.c.t, "transfers", func(context.Context) error {
		if now := b.acknowledged(); now < from+n {
			return fmt.Errorf("%d of %d", now-from, n)
		}
		return nil
	})
}

func (b *bank) acknowledged() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.slips {
		if b.slips[i].err == nil {
			n++
		}
	}
	return n
}

// close ends business, and compares the accounts with the slips.
func (b *bank) close() {
	t := b.c.t
	t.Helper()
	b.cancel()
	b.running.Wait()
	want := map[string]int{}
	uncertain := 0
	for i := range b.slips {
		s := &b.slips[i]
		if errors.Is(s.err, kv.ErrUncertain) {
			uncertain++
		}
		if b.happened(s) {
			want[s.from]--
			want[s.to]++
		}
	}
	found, err := b.audit(t.Context(), b.c.client)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range b.accounts {
		if got := balance(found[key]) - openingBalance; got != want[key] {
			t.Errorf("account %s has %+d, the slips say %+d", key, got, want[key])
		}
	}
	for _, problem := range b.problems {
		t.Error(problem)
	}
	t.Logf("%d transfers acknowledged, %d uncertain, %d failed; %d audits", b.acknowledged(),
		uncertain, len(b.slips)-uncertain-b.acknowledged(), b.audits)
}

// happened looks for a slip: one that was acknowledged has to be there, with its
// revision, and one that failed for certain must not be.
func (b *bank) happened(s *slip) bool {
	resp, err := b.c.client.Range(b.c.t.Context(), kv.RangeRequest{
		Range: kv.PointRange([]byte(s.key)),
	})
	if err != nil {
		b.c.t.Fatal(err)
	}
	there := len(resp.KVs) > 0
	switch {
	case s.err == nil && (!there || resp.KVs[0].ModRevision != s.revision):
		b.c.t.Errorf("transfer %+v was acknowledged, and there is %+v", *s, resp.KVs)
	case s.err != nil && !errors.Is(s.err, kv.ErrUncertain) && there:
		b.c.t.Errorf("transfer %s failed with %v, and is there", s.key, s.err)
	}
	return there
}
