package worker

import (
	"strings"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

// hops delivers, in each round, what was sent in the round before, until a node
// has answered something more. It returns the rounds: one way each.
func (all trio) hops(node int) int {
	want, n := len(all[node].events)+1, 0
	for len(all[node].events) < want {
		n++
		letters := make([][]letter, len(all))
		for i, s := range all {
			letters[i], s.inbox = s.inbox, nil
		}
		for i, s := range all {
			for _, l := range letters[i] {
				s.worker.Receive(s.now, l.from, l.message)
			}
			s.pass()
		}
		if n > 100 {
			return n
		}
	}
	return n
}

// led is a trio with six shards, two of which each node leads: s1 and s4 node 1,
// which has the oracle too, s2 and s5 node 2, s3 and s6 node 3.
func led(t *testing.T) trio {
	all := newTrioOf(t, 6, [][]byte{
		[]byte("b"), []byte("c"), []byte("d"), []byte("e"), []byte("f"),
	})
	all.wait(20 * time.Second)
	for i, s := range all {
		var leads strings.Builder
		for _, st := range s.worker.Status() {
			if st.Leader == s.node {
				leads.WriteString(st.ID.String() + " ")
			}
		}
		t.Logf("node %d leads %s", i+1, leads.String())
	}
	return all
}

func puts(keys string) Request {
	txn := &kv.TxnRequest{}
	for key := range strings.SplitSeq(keys, "") {
		txn.Success = append(txn.Success, kv.Op{Put: &kv.PutRequest{
			Key: []byte(key), Value: []byte("v"),
		}})
	}
	return Request{Txn: txn}
}

// TestRoundsOfATransaction counts how many messages follow one another until a
// client is answered, in both directions: two make a round trip. A write of one
// shard takes one round trip to its leader, one to the oracle, and one from
// the leader to its followers. A transaction over shards takes three from its
// coordinator (prepare, revision, decide); the first and the last contain one in
// the shard, to its followers.
func TestRoundsOfATransaction(t *testing.T) {
	all := led(t)
	defer all.close()
	for _, test := range []struct {
		name string
		node int
		keys string
		want int
	}{
		{"a put, where its shard and the oracle are led", 1, "a", 2},
		{"a put, led elsewhere, as is the oracle", 2, "c", 6},
		{"two shards, both led here, and the oracle", 1, "ad", 4},
		{"two shards, both led here", 2, "be", 6},
		{"two shards, one led here, and the oracle", 1, "ab", 6},
		{"two shards, one led here", 2, "bc", 8},
		{"two shards, led elsewhere, as is the oracle", 2, "ac", 10},
	} {
		s := all[test.node-1]
		s.submit(puts(test.keys))
		got := all.hops(test.node - 1)
		if got != test.want {
			t.Errorf("%s: %d messages one after the other, want %d", test.name, got, test.want)
		}
		all.settle()
	}
}

// TestEntriesOfATransaction counts what a transaction leaves in the logs.
func TestEntriesOfATransaction(t *testing.T) {
	all := led(t)
	defer all.close()
	entries := func() (n uint64) {
		for _, st := range all[0].worker.Status() {
			n += st.Applied
		}
		return n
	}
	cost := func(keys string) uint64 {
		before := entries()
		all[0].submit(puts(keys))
		all.settle()
		all.wait(time.Second)
		return entries() - before
	}
	for keys, want := range map[string]uint64{
		"a": 1, "ad": 4, "abc": 6,
	} {
		if got := cost(keys); got != want {
			t.Errorf("keys %s: %d entries, want %d", keys, got, want)
		}
	}
}
