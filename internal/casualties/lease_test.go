package casualties

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/wire"
)

// hang grants a lease, and hangs keys of both shards on it.
func (st *stage) hang(id kv.LeaseID, seconds int64) {
	_, err := st.host(2).lease(wire.Lease{Op: wire.LeaseGrant, ID: id, TTL: seconds})
	st.must(err)
	for _, key := range []string{"a", "z"} {
		req := puts(key, "hung")
		req.Txn.Success[0].Put.Lease = id
		st.host(2).write(req)
	}
}

// keepAlive renews a lease, as a client does that asks again if it gets no answer.
func (h *host) keepAlive(id kv.LeaseID) {
	for try := 0; ; try++ {
		_, err := h.lease(wire.Lease{Op: wire.LeaseKeepAlive, ID: id})
		switch {
		case err == nil:
			return
		case errors.Is(err, kv.ErrLeaseNotFound) || try == 5:
			h.st.failf("a keep-alive on %v: %w", h.id, err)
		}
	}
}

// A leader that was stuck went on to revoke leases when it was none any more: its own clock said
// that nobody had renewed them (etcd#15247, #12528). Here it is stopped, hears nothing of the next
// term for a while when it goes on, and the clients renew elsewhere.
func TestEtcd15247(t *testing.T) {
	prove(t, setting{splitAt: []string{"m"}}, func(st *stage) {
		st.hang(7, 4)
		old := st.leader(kv.SystemShard)
		h := st.others(old)[1]
		old.pause()
		for range 12 {
			h.keepAlive(7)
			st.wait(time.Second)
		}
		st.keep = func(l *letter) bool {
			r := l.raft(kv.SystemShard)
			return r != nil && l.to == old.id && r.Msg.GetType() != raftpb.MsgHeartbeatResp
		}
		old.resume()
		for range 3 {
			h.keepAlive(7)
			st.wait(time.Second)
		}
		st.keep = nil
		for _, key := range []string{"a", "z"} {
			h.expect(key, "hung")
		}
		h.keepAlive(7)
		st.agree()
	})
}

// Each new leader gave every lease its full time again, so that where leaders changed often
// none ever ended (etcd#9888, #9395); what was renewed must not end early, either. Here
// leaders die every two seconds, the one that answered the last renewal among them.
func TestEtcd9888(t *testing.T) {
	prove(t, setting{splitAt: []string{"m"}}, func(st *stage) {
		st.hang(7, 12)
		st.wait(3 * time.Second)
		st.leader(kv.SystemShard).keepAlive(7)
		begin, ended := st.now, time.Duration(0)
		for i := 0; ended == 0; i++ {
			l := st.leader(kv.SystemShard)
			l.crash()
			st.until("the next leader", 10*time.Second, func() bool {
				return st.leaderOf(kv.SystemShard) != nil && st.leaderOf(1) != nil &&
					st.leaderOf(2) != nil
			})
			h := st.leader(kv.SystemShard)
			l.start()
			for range 10 {
				st.wait(200 * time.Millisecond)
				r := st.await(h.ask(gets("a")))
				if ended == 0 && r.Err == nil && value(r.Range) == "" {
					ended = time.Duration(st.now - begin)
				}
			}
			if i > 12 {
				st.failf("the lease of 12 s is there after %v", time.Duration(st.now-begin))
			}
		}
		if ended < 12*time.Second {
			st.failf("the lease of 12 s ends %v after it was renewed", ended)
		}
		st.agree()
	}, mutant.ExpireEarly)
}

// Keys with a time to live were lost in an election, because the next leader knew nothing of
// their last renewal (etcd#2660, #2508). Here what the leader's group is to know of it gets
// lost, and then the leader dies.
func TestEtcd2660(t *testing.T) {
	prove(t, setting{splitAt: []string{"m"}}, func(st *stage) {
		st.hang(7, 4)
		st.wait(3500 * time.Millisecond)
		l := st.leader(kv.SystemShard)
		st.lose = func(x *letter) bool {
			r := x.raft(kv.SystemShard)
			return r != nil && x.from == l.id && r.Msg.GetType() == raftpb.MsgApp
		}
		renewed := l.ask(leaseRequest(wire.Lease{Op: wire.LeaseKeepAlive, ID: 7}))
		st.wait(100 * time.Millisecond)
		answered := renewed.reply != nil && renewed.reply.Err == nil
		at := st.now
		l.crash()
		st.lose = nil
		h := st.others(l)[0]
		for time.Duration(st.now-at) < 3900*time.Millisecond {
			r := st.await(h.ask(gets("a")))
			if answered && r.Err == nil && value(r.Range) == "" {
				st.failf("it ends %v after it was renewed", time.Duration(st.now-at))
			}
			st.wait(tick)
		}
		st.agree()
	}, mutant.RenewUnlogged)
}

// Where keys are in several shards, a key can be hung on a lease after its shard was asked which
// keys are to go, and is there for ever. Here such puts come at every step of a revocation.
func TestPutRacesRevoke(t *testing.T) {
	prove(t, setting{splitAt: []string{"m"}}, func(st *stage) {
		for n := range 30 {
			id := kv.LeaseID(100 + n)
			st.hang(id, 600)
			revoked := st.host(1).ask(leaseRequest(wire.Lease{Op: wire.LeaseRevoke, ID: id}))
			for range n {
				st.round()
			}
			late := puts("late", fmt.Sprint(n))
			late.Txn.Success[0].Put.Lease = id
			o := st.host(3).ask(late)
			st.await(o)
			if r := st.await(revoked); r.Err != nil {
				st.failf("the revocation: %w", r.Err)
			}
			st.wait(time.Second)
			for _, key := range []string{"a", "z", "late"} {
				if got := st.host(1).get(key); got != "" {
					st.failf("%s is %q: its lease is gone, and the put ended with %v", key, got,
						o.reply.Err)
				}
			}
		}
		st.agree()
	}, mutant.EndUnclosed)
}
