package etcd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

const (
	workers  = 3
	accounts = 6
	// opening is what is on each account at first.
	opening = 100
	// sessionSeconds is longer than any node is down.
	sessionSeconds = 60
)

// newBank moves money between accounts on different shards by transactional
// memory. Whoever looks, the sum is the same.
func newBank(ctx context.Context, t *testing.T, c *cluster) *task {
	prefix := empty(t, newClient(t, c.endpoints...), "bank/")
	account := func(i int) string { return fmt.Sprint(prefix, i) }
	client := newClient(t, c.endpoints...)
	for i := range accounts {
		if _, err := client.Put(ctx, account(i), strconv.Itoa(opening)); err != nil {
			t.Fatal(err)
		}
	}
	audit := func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		resp, err := client.Get(ctx, prefix, clientv3.WithPrefix())
		if err != nil {
			return err
		}
		sum := 0
		for _, kv := range resp.Kvs {
			balance, _ := strconv.Atoi(string(kv.Value))
			sum += balance
		}
		if sum != accounts*opening {
			t.Errorf("at revision %d the accounts hold %d: %v", resp.Header.Revision, sum, resp.Kvs)
		}
		return nil
	}
	k := &task{workers: []func(context.Context) error{audit}}
	for range workers {
		client := newClient(t, c.endpoints...)
		k.workers = append(k.workers, func(ctx context.Context) error {
			from, to := rand.IntN(accounts), rand.IntN(accounts)
			return transfer(ctx, client, account(from), account(to))
		})
	}
	k.check = func(ctx context.Context) {
		if err := audit(ctx); err != nil {
			t.Error(err)
		}
	}
	return k
}

// transfer moves 1, if it is there.
func transfer(ctx context.Context, client *clientv3.Client, from, to string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	move := func(stm concurrency.STM) error {
		source, err := strconv.Atoi(stm.Get(from))
		if err != nil || source == 0 || from == to {
			return err
		}
		target, err := strconv.Atoi(stm.Get(to))
		stm.Put(from, strconv.Itoa(source-1))
		stm.Put(to, strconv.Itoa(target+1))
		return err
	}
	_, err := concurrency.NewSTM(client, move, concurrency.WithAbortContext(ctx),
		concurrency.WithIsolation(concurrency.Serializable))
	return err
}

// newSession is a session that outlasts the death of a node.
func newSession(t *testing.T, c *cluster) *concurrency.Session {
	t.Helper()
	client := newClient(t, c.endpoints...)
	session, err := concurrency.NewSession(client, concurrency.WithTTL(sessionSeconds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

// alone counts who is where one at most may be.
type alone struct {
	t      *testing.T
	where  string
	inside atomic.Int32
}

func (a *alone) enter() {
	if n := a.inside.Add(1); n != 1 {
		a.t.Errorf("%d at once %s", n, a.where)
	}
}

func (a *alone) leave() { a.inside.Add(-1) }

// newMutex counts in the store under a mutex. Apart from writes whose end is
// unknown no count is lost, and nobody else is in the critical section.
func newMutex(_ context.Context, t *testing.T, c *cluster) *task {
	client := newClient(t, c.endpoints...)
	prefix := empty(t, client, "mutex/")
	counter := prefix + "counter"
	guard := &alone{t: t, where: "hold the mutex"}
	var counts, unknown atomic.Int64
	k := &task{}
	for range workers {
		session := newSession(t, c)
		mutex := concurrency.NewMutex(session, prefix+"lock")
		k.workers = append(k.workers, func(ctx context.Context) error {
			calling, cancel := context.WithTimeout(ctx, callTimeout)
			defer cancel()
			if err := mutex.Lock(calling); err != nil {
				return err
			}
			guard.enter()
			err := increment(calling, session.Client(), counter, mutex.IsOwner())
			guard.leave()
			if err == nil {
				counts.Add(1)
			} else {
				unknown.Add(1)
			}
			return errors.Join(err, persist(ctx, mutex.Unlock))
		})
	}
	k.check = func(ctx context.Context) {
		resp, err := client.Get(ctx, counter)
		if err != nil || len(resp.Kvs) != 1 {
			t.Errorf("counter: %v, %v", resp, err)
			return
		}
		n, _ := strconv.ParseInt(string(resp.Kvs[0].Value), 10, 64)
		if n < counts.Load() || n > counts.Load()+unknown.Load() {
			t.Errorf("counted to %d, %d counts and %d unknown", n, counts.Load(), unknown.Load())
		}
	}
	return k
}

// increment adds to a number that nobody else may write now.
func increment(ctx context.Context, client *clientv3.Client, key string,
	owner clientv3.Cmp,
) error {
	resp, err := client.Get(ctx, key)
	if err != nil {
		return err
	}
	n := 0
	for _, kv := range resp.Kvs {
		n, _ = strconv.Atoi(string(kv.Value))
	}
	put, err := client.Txn(ctx).If(owner).Then(clientv3.OpPut(key, strconv.Itoa(n+1))).Commit()
	if err == nil && !put.Succeeded {
		return errors.New("the mutex is not owned any more")
	}
	return err
}

// persist repeats what must happen until it does.
func persist(ctx context.Context, do func(context.Context) error) error {
	for {
		calling, cancel := context.WithTimeout(ctx, callTimeout)
		err := do(calling)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
		pause(ctx, afterFailure)
	}
}

// newElection lets candidates lead in turn. There is one leader at most, and
// who observes sees leaders.
func newElection(ctx context.Context, t *testing.T, c *cluster) *task {
	prefix := empty(t, newClient(t, c.endpoints...), "election/")
	guard := &alone{t: t, where: "lead"}
	k := &task{}
	for i := range workers {
		election := concurrency.NewElection(newSession(t, c), prefix)
		k.workers = append(k.workers, func(ctx context.Context) error {
			calling, cancel := context.WithTimeout(ctx, callTimeout)
			defer cancel()
			if err := election.Campaign(calling, fmt.Sprint("candidate ", i)); err != nil {
				return err
			}
			guard.enter()
			err := election.Proclaim(calling, fmt.Sprint("leader ", i))
			guard.leave()
			return errors.Join(err, persist(ctx, election.Resign))
		})
	}
	var observed atomic.Int64
	observer := concurrency.NewElection(newSession(t, c), prefix)
	k.followers = append(k.followers, func(ctx context.Context) {
		for resp := range observer.Observe(ctx) {
			observed.Add(int64(len(resp.Kvs)))
		}
	})
	k.check = func(context.Context) {
		if observed.Load() == 0 {
			t.Error("no leader was observed")
		}
	}
	return k
}
