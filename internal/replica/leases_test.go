package replica

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/wire"
	"go.etcd.io/raft/v3/raftpb"
)

// leasing reads what a data shard is asked about a lease; lives are numbers:
//
//	1 lease activate 7    2 lease close 7 1    3 lease forget 7 1    4 lease keys 7
//	5 hang k 7            (a put of k on it)
func (s *story) leasing(req *wire.Request, words []string) bool {
	switch words[0] {
	case "hang":
		put := &kv.PutRequest{Key: []byte(words[1]), Value: []byte("v")}
		put.Lease = kv.LeaseID(s.revision(words[2]))
		req.Txn = &kv.TxnRequest{Success: []kv.Op{{Put: put}}}
		return true
	case "lease":
		req.Lease = &wire.Lease{
			Op: map[string]wire.LeaseOp{
				"activate": wire.LeaseActivate, "close": wire.LeaseClose,
				"forget": wire.LeaseForget, "keys": wire.LeaseKeys,
			}[words[1]],
			ID: kv.LeaseID(s.revision(words[2])),
		}
		if len(words) > 3 {
			req.Lease.Life = uint64(s.revision(words[3]))
		}
		return true
	}
	return false
}

// attached n=1 [life=3] [of=2]: the system shard's answer to the oldest Attach, or
// to a later one; without a life, that there is no such lease.
func (s *story) attached() {
	n, i := s.node(), int(s.number("of", 1))-1
	if i >= len(n.attaches) {
		s.c.sayf("%v has not asked", n.id)
		return
	}
	at := n.attaches[i]
	n.attaches = slices.Delete(n.attaches, i, i+1)
	resp := &wire.Response{Code: wire.CodeLeaseNotFound}
	if life := s.number("life", 0); life > 0 {
		resp = leaseResponse(at.ID, life)
	}
	n.input(func(r *Replica, out *Output) { r.Attached(s.c.now, at, resp, out) })
}

// marks tells what a node's replica knows of leases, and what hangs on them.
func (s *story) marks() {
	r := s.node().replica
	for _, id := range slices.Sorted(maps.Keys(r.leases.marks)) {
		m := r.leases.marks[id]
		resp := r.leaseKeys(id)
		s.c.sayf("%v lease %d life %d closing %v keys %q", s.node().id, id, m.Life, m.Closing,
			resp.Lease.Lease.Keys)
	}
}

func showLeaseResponse(l *wire.LeaseResponse) string {
	if l.Lease.Revision == 0 {
		return fmt.Sprintf("lease %d life %d", l.Lease.ID, l.Life)
	}
	return fmt.Sprintf("lease %d keys %q at %v", l.Lease.ID, l.Lease.Keys, l.Lease.Revision)
}

func TestLeaseEntriesRoundTrip(t *testing.T) {
	changes := []LeaseChange{
		{ID: 7, Record: &keyspace.LeaseRecord{
			Life: 1 << 33, TTLSeconds: 60, LeftMillis: 5, Shards: []kv.ShardID{1, 4},
		}},
		{ID: -1},
	}
	data := appendLeases(nil, 300, changes)
	var back []LeaseChange
	batch, err := decodeLeases(data[1:], func(id kv.LeaseID, record []byte) error {
		c := LeaseChange{ID: id}
		if len(record) > 0 {
			rec, err := keyspace.ParseLeaseRecord(record)
			if err != nil {
				return err
			}
			c.Record = &rec
		}
		back = append(back, c)
		return nil
	})
	if err != nil || batch != 300 || data[0] != kindLeases || !reflect.DeepEqual(back, changes) {
		t.Errorf("batch %d, %+v, %v", batch, back, err)
	}
	marks := []mark{{7, markActive, 1}, {-1, markClosing, 1 << 40}, {9, markForgotten, 3}}
	data = appendMarks(nil, marks)
	got, err := decodeMarks(data[1:])
	if err != nil || data[0] != kindLeaseMarks || !slices.Equal(got, marks) {
		t.Errorf("%+v, %v", got, err)
	}
}

func FuzzLeaseEntries(f *testing.F) {
	f.Add(appendLeases(nil, 1, []LeaseChange{
		{ID: 7, Record: &keyspace.LeaseRecord{Life: 1, TTLSeconds: 2}}, {ID: 8},
	})[1:])
	f.Add(appendMarks(nil, []mark{{7, markForgotten, 9}})[1:])
	f.Add([]byte{1, 7, 200})
	f.Fuzz(func(t *testing.T, body []byte) {
		refused := func(err error) bool {
			if err != nil && !errors.Is(err, kv.ErrCorrupt) {
				t.Fatalf("an error that does not wrap ErrCorrupt: %v", err)
			}
			return err != nil
		}
		size := 0
		_, err := decodeLeases(body, func(_ kv.LeaseID, record []byte) error {
			size += len(record)
			return nil
		})
		if !refused(err) && size > len(body) {
			t.Fatal("more came out than went in")
		}
		marks, err := decodeMarks(body)
		if refused(err) {
			return
		}
		again, err := decodeMarks(appendMarks(nil, marks)[1:])
		if err != nil || !slices.Equal(again, marks) {
			t.Fatalf("%+v came back as %+v, %v", marks, again, err)
		}
	})
}

// A transaction over shards that is prepared may still put a key on a lease that
// was closed since: whoever asks for the keys waits for it.
func TestKeysOfALeaseWaitForTransactions(t *testing.T) {
	s := &story{t: t, c: newCluster(t, 1, DefaultBounds(), ReadLease)}
	defer s.c.close()
	n := s.c.nodes[0]
	n.input(func(r *Replica, _ *Output) { r.Campaign() })
	s.c.settle()
	id := uint64(0)
	ask := func(req wire.Request) {
		id++
		req.ID, req.Shard = id, 1
		n.input(func(r *Replica, out *Output) {
			r.Submit(s.c.now, Origin{Node: 9, ID: req.ID}, &req, out)
		})
		s.c.settle()
	}
	of := func(op wire.LeaseOp) wire.Request {
		return wire.Request{Lease: &wire.Lease{Op: op, ID: 7, Life: 5}}
	}
	ask(of(wire.LeaseActivate))
	at := n.attaches[0]
	n.input(func(r *Replica, out *Output) { r.Attached(s.c.now, at, leaseResponse(7, 5), out) })
	s.c.settle()
	txn := wire.TxnID{Node: 3, Seq: 4}
	ask(wire.Request{Prepare: &wire.Prepare{
		Txn: txn, Primary: 2, Leases: []kv.LeaseID{7, 8},
		Locks: []wire.Lock{{Range: kv.PointRange([]byte("k")), Write: true}},
	}})
	ask(of(wire.LeaseClose))
	s.c.events = nil
	ask(of(wire.LeaseKeys))
	if len(s.c.events) > 0 {
		t.Errorf("answered before the transaction is over: %q", s.c.events)
	}
	put := []mvcc.Write{{Key: []byte("k"), Lease: 7, Create: 50, Version: 1}}
	ask(wire.Request{Resolve: &wire.Resolve{
		Txn: txn, Commit: true, Revision: 50,
		Effect: mvcc.AppendPart(nil, &mvcc.Part{Writes: put, Subs: []uint32{0}}),
	}})
	want := `n1 answers 4: lease 7 keys ["k"] at r50`
	if !slices.Contains(s.c.events, want) {
		t.Errorf("%q, want %q", s.c.events, want)
	}
}

// Batches are numbered in each term anew: one of an earlier term, which a new leader
// finds in its log, says nothing about its own.
func TestBatchesOfAnEarlierTerm(t *testing.T) {
	c := newCluster(t, 1, DefaultBounds(), ReadLease)
	defer c.close()
	n := c.nodes[0]
	n.input(func(r *Replica, _ *Output) { r.Campaign() })
	c.settle()
	term := n.replica.Term()
	for _, tt := range []struct{ term, batch, want uint64 }{
		{term - 1, 9, 0}, {term, 1, 1}, {term, 2, 2}, {term - 1, 9, 2},
	} {
		b := n.engine.NewBatch()
		e := &raftpb.Entry{Term: new(tt.term)}
		c.must(n.replica.applyLeases(b, e, appendLeases(nil, tt.batch, nil)[1:]))
		c.must(b.Commit())
		if got := n.replica.LeaseBatch(); got != tt.want {
			t.Errorf("batch %d of term %d: %d is applied, want %d", tt.batch, tt.term, got, tt.want)
		}
	}
}
