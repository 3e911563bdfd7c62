package casualties

import (
	"fmt"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/wire"
	"github.com/miruvor/miruvor/internal/worker"
)

// op is what a client asked. Once it is answered reply is set; lost tells that the
// node died with it.
type op struct {
	worker.Request
	// floor is the highest revision that anybody was told before.
	floor kv.Revision
	reply *worker.Reply
	lost  bool
}

// ask hands a request to the node, and does not wait.
func (h *host) ask(req worker.Request) *op {
	st := h.st
	st.lastOp++
	req.ID, req.Deadline = st.lastOp, h.now()+wire.Instant(5*time.Second)
	o := &op{Request: req, floor: st.told}
	if h.worker == nil {
		st.failf("%v does not run", h.id)
	}
	h.ops[req.ID] = o
	h.worker.Submit(h.now(), req)
	return o
}

// await waits for an answer.
func (st *stage) await(o *op) *worker.Reply {
	st.until(fmt.Sprintf("the answer to request %d", o.ID), 10*time.Second, func() bool {
		return o.reply != nil || o.lost
	})
	if o.lost {
		st.failf("the node died with request %d", o.ID)
	}
	return o.reply
}

// replied takes an answer. It holds every one against what was told to anybody
// before the request, and no two writes may share a revision.
func (st *stage) replied(h *host, r *worker.Reply) {
	o := h.ops[r.ID]
	if o == nil || o.reply != nil {
		st.failf("%v answers request %d, which nobody asked, or again", h.id, r.ID)
	}
	reply := *r
	o.reply = &reply
	delete(h.ops, r.ID)
	switch {
	case r.Err != nil:
	case r.Txn != nil:
		st.wrote(o, r.Txn)
	case r.Range != nil:
		if r.Range.Revision < o.floor && !o.Range.Serializable {
			st.failf("a read of %v is at %v, but %v was told before", h.id, r.Range.Revision,
				o.floor)
		}
		st.told = max(st.told, r.Range.Revision)
	}
}

func (st *stage) wrote(o *op, resp *kv.TxnResponse) {
	if mvcc.ReadOnly(o.Txn) || !resp.Succeeded {
		return
	}
	if resp.Revision <= o.floor {
		st.failf("a write has %v, but %v was told before it began", resp.Revision, o.floor)
	}
	if other := st.writes[resp.Revision]; other != nil {
		st.failf("%v is that of requests %d and %d", resp.Revision, other.ID, o.ID)
	}
	st.writes[resp.Revision] = o
	st.told = max(st.told, resp.Revision)
}

// puts is a transaction that puts pairs of key and value.
func puts(pairs ...string) worker.Request {
	txn := &kv.TxnRequest{}
	for i := 0; i < len(pairs); i += 2 {
		txn.Success = append(txn.Success, kv.Op{Put: &kv.PutRequest{
			Key: []byte(pairs[i]), Value: []byte(pairs[i+1]),
		}})
	}
	return worker.Request{Txn: txn}
}

// deletes is a transaction that deletes a key.
func deletes(key string) worker.Request {
	return worker.Request{Txn: &kv.TxnRequest{Success: []kv.Op{
		{Delete: &kv.DeleteRequest{Range: kv.PointRange([]byte(key))}},
	}}}
}

// gets is a range over all keys, or one key.
func gets(key ...string) worker.Request {
	req := &kv.RangeRequest{}
	if len(key) > 0 {
		req.Range = kv.PointRange([]byte(key[0]))
	}
	return worker.Request{Range: req}
}

// write has a node write, and tells the revision.
func (h *host) write(req worker.Request) kv.Revision {
	r := h.st.await(h.ask(req))
	if r.Err != nil {
		h.st.failf("a write on %v: %w", h.id, r.Err)
	}
	return r.Txn.Revision
}

func (h *host) put(key, value string) kv.Revision { return h.write(puts(key, value)) }

func (h *host) del(key string) kv.Revision { return h.write(deletes(key)) }

// get is the value of a key, "" if there is none.
func (h *host) get(key string) string { return h.at(key, 0) }

// at is get at a revision.
func (h *host) at(key string, rev kv.Revision) string {
	req := gets(key)
	req.Range.Revision = rev
	r := h.st.await(h.ask(req))
	if r.Err != nil {
		h.st.failf("a read of %q on %v: %w", key, h.id, r.Err)
	}
	return value(r.Range)
}

func value(r *kv.RangeResponse) string {
	if len(r.KVs) == 0 {
		return ""
	}
	return string(r.KVs[0].Value)
}

// expect fails unless a read of a key tells a value.
func (h *host) expect(key, want string) {
	if got := h.get(key); got != want {
		h.st.failf("%v reads %q of %q, want %q", h.id, got, key, want)
	}
}

// compacts raises the floor.
func compacts(rev kv.Revision) worker.Request {
	return worker.Request{Compact: &wire.Compact{Revision: rev}}
}

func (h *host) compact(rev kv.Revision) {
	r := h.st.await(h.ask(compacts(rev)))
	if r.Err != nil {
		h.st.failf("a compaction at %v: %w", rev, r.Err)
	}
}

func leaseRequest(req wire.Lease) worker.Request { return worker.Request{Lease: &req} }

// lease asks about a lease.
func (h *host) lease(req wire.Lease) (*wire.LeaseResponse, error) {
	r := h.st.await(h.ask(leaseRequest(req)))
	return r.Lease, r.Err
}

// alarms lists the cluster's alarms, after a change of them if there is one.
func (h *host) alarms(op wire.AlarmOp, a kv.Alarm) []kv.Alarm {
	r := h.st.await(h.ask(worker.Request{Alarm: &wire.Alarm{Op: op, Alarm: a}}))
	if r.Err != nil {
		h.st.failf("alarms on %v: %w", h.id, r.Err)
	}
	return r.Alarms.Raised
}

// giveTo has the node try to hand what it leads to another.
func (h *host) giveTo(to *host) {
	// The error is about the system shard, which it may not lead.
	_ = h.worker.Prefer(to.id, h.now()+wire.Instant(5*time.Second))
}

// prefer has everything that a node leads handed to another.
func (st *stage) prefer(from, to *host) {
	from.giveTo(to)
	st.until(fmt.Sprintf("%v to lead", to.id), 10*time.Second, func() bool {
		for _, s := range st.allShards() {
			if l := st.leaderOf(s.ID); l == nil || l == from {
				return false
			}
		}
		return true
	})
}
