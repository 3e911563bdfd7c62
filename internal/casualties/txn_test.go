package casualties

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/wire"
)

// asks reports of letters whether they are requests of a kind from a node to another.
func asks(from, to *host, kind func(*wire.Request) bool) func(*letter) bool {
	return func(l *letter) bool {
		q := l.message.Request
		return q != nil && l.from == from.id && l.to == to.id && kind(q)
	}
}

// With async commit a transaction got a number below that of one that had ended before it began
// (tikv#8589): a reader saw the later and not the earlier. Here the numbers for a shard are on
// their way, while others are handed out and told, and a write comes to that shard.
func TestTiKV8589(t *testing.T) {
	prove(t, setting{splitAt: []string{"m"}}, func(st *stage) {
		clock, h := st.leader(kv.SystemShard), st.leader(2)
		st.keep = func(l *letter) bool {
			r := l.message.Response
			return r != nil && l.from == clock.id && l.to == h.id && r.Oracle != nil
		}
		o := h.ask(puts("z", "1"))
		st.settle()
		clock.put("a", "1")
		later := h.ask(puts("y", "1"))
		h.pass()
		st.keep = nil
		st.await(o)
		st.await(later) // it has to be above that of a, which had been told
		st.agree()
	}, mutant.CacheRevisions)
}

// A leader forgot with its leadership at which timestamps it had been read, and its successor
// let a transaction commit below (tikv#8468). Here a transaction has locked one shard, its
// request to the other is late, both are read, and the other gets a new leader before it
// arrives.
func TestTiKV8468(t *testing.T) {
	prove(t, setting{splitAt: []string{"m"}}, func(st *stage) {
		h, old := st.host(3), st.leader(2)
		st.keep = asks(h, old, func(q *wire.Request) bool { return q.Prepare != nil })
		o := h.ask(puts("b", "1", "y", "1"))
		st.settle()
		r := st.await(st.host(1).ask(gets("y")))
		if r.Err != nil {
			st.failf("a read: %w", r.Err)
		}
		at, before := r.Range.Revision, value(r.Range)
		old.giveTo(st.host(1))
		st.until("the first to lead", 10*time.Second, func() bool {
			return st.host(1).replica(2).Leading()
		})
		st.keep = nil
		st.wait(2 * time.Second)
		if o.reply == nil {
			st.await(o)
		}
		for _, h := range st.hosts {
			if after := h.at("y", at); after != before {
				st.failf("at %v was %q, and is %q now", at, before, after)
			}
		}
		st.agree()
	}, mutant.NumberBeforePrepare)
}

// A transaction that was thought dead was rolled back, and its late requests found nothing
// that spoke against them (what TiKV keeps rollback records for). Here one shard has prepared,
// and is told by the other, whose own request is late, that there is no such transaction.
// Without a record of that, the late request is granted, and the transaction is decided in one
// shard alone.
func TestTiKVLatePrepare(t *testing.T) {
	prove(t, setting{splitAt: []string{"m"}}, func(st *stage) {
		for _, shard := range []kv.ShardID{1, 2} {
			h := st.host(3)
			st.keep = func(l *letter) bool {
				q := l.message.Request
				return q != nil && q.Shard == shard && l.from == h.id && q.Prepare != nil
			}
			v := fmt.Sprint(shard)
			o := h.ask(puts("a", v, "z", v))
			st.wait(2500 * time.Millisecond)
			st.keep = nil
			st.await(o)
			st.wait(time.Second)
			if a, z := st.host(1).get("a"), st.host(1).get("z"); a != z {
				st.failf("a is %q, z is %q", a, z)
			}
		}
		st.agree()
	}, mutant.NoTombstone)
}

// jetcd, and TiDB 2.1.7, sent a transaction again whose answer was lost: it was done twice, or its
// compare failed because of itself (Jepsen). Here the answer is lost, and the leader with it.
func TestJepsenBlindRetry(t *testing.T) {
	prove(t, setting{}, func(st *stage) {
		l := st.leader(1)
		h := st.others(l)[0]
		st.lose = func(x *letter) bool {
			r := x.message.Response
			return r != nil && x.from == l.id && x.to == h.id && r.Txn != nil
		}
		o := h.ask(puts("a", "1"))
		st.settle()
		l.crash()
		h.worker.Unreachable(h.now(), l.id) // the connection is gone
		st.await(o)
		if !errors.Is(o.reply.Err, kv.ErrUncertain) {
			st.failf("the transaction ends with %+v", o.reply)
		}
		r := st.await(h.ask(gets("a")))
		if r.Err != nil || len(r.Range.KVs) != 1 || r.Range.KVs[0].Version != 1 {
			st.failf("a is %+v, %v", r.Range, r.Err)
		}
		st.agree()
	}, mutant.RetryUncertain)
}

// Clients in front of a store that loses what it acknowledged: Redis on Raft lost all writes in
// a failover, NATS answered before its fsync (Jepsen). Here everybody loses the power at once after
// each answer, and at each step before.
func TestJepsenPowerLoss(t *testing.T) {
	prove(t, setting{splitAt: []string{"m"}}, func(st *stage) {
		for n := range 30 {
			h := st.hosts[n%3]
			for _, other := range st.hosts {
				other.slow = n%2 == 1 && other != h
			}
			o := h.ask(puts("a", fmt.Sprint(n), "z", fmt.Sprint(n)))
			for range n {
				st.round()
			}
			for _, h := range st.hosts {
				h.crash()
			}
			for _, h := range st.hosts {
				h.start()
			}
			st.until("leaders", 20*time.Second, func() bool {
				return st.leaderOf(kv.SystemShard) != nil && st.leaderOf(1) != nil &&
					st.leaderOf(2) != nil
			})
			a, z := st.host(1).get("a"), st.host(2).get("z")
			if a != z || o.reply != nil && a != fmt.Sprint(n) {
				st.failf("after %d, a is %q and z is %q", n, a, z)
			}
		}
		st.agree()
	}, mutant.AckBeforeSync, mutant.AnswerBeforeRecord)
}
