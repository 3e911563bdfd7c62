package worker

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/wire"
)

// internal carries a request of the worker itself out; then gets the reply in
// a later step. Shard is the one to ask about a lease.
func (w *Worker) internal(
	now wire.Instant, shard kv.ShardID, req Request, then func(wire.Instant, Reply),
) {
	c := &call{req: req, then: then}
	w.calls.live++
	w.calls.list = append(w.calls.list, c)
	if req.Txn != nil {
		w.routeTxn(now, c)
		return
	}
	if req.Alarm != nil {
		w.startUpkeep(now, c, wire.Upkeep{Alarm: req.Alarm})
		return
	}
	w.start(now, c, w.leaseLeg(shard, req.Lease))
}

func (w *Worker) leaseLeg(shard kv.ShardID, req *wire.Lease) *leg {
	l := &leg{shard: shard, req: wire.Request{Lease: req}}
	if s := w.shards.Shard(shard); s != nil {
		l.key = s.Range.Start
	}
	return l
}

// runReplies hands replies to the worker itself on. It reports whether there
// were any.
func (w *Worker) runReplies(now wire.Instant) bool {
	list := w.calls.own
	w.calls.own = nil
	for _, r := range list {
		r.then(now, r.reply)
	}
	return len(list) > 0
}

// ownReply is a reply to the worker itself.
type ownReply struct {
	then  func(wire.Instant, Reply)
	reply Reply
}

// leaseDone takes an answer about a lease into its call. The keys of a lease,
// if they are asked for, are asked of the shards that may have some.
func (w *Worker) leaseDone(now wire.Instant, l *leg, resp *wire.LeaseResponse) {
	c := l.call
	switch {
	case resp == nil:
		w.finish(c, Reply{Err: fmt.Errorf("%w: an answer without a lease", kv.ErrUncertain)})
	case c.lease == nil && c.req.LeaseKeys && len(resp.Shards) > 0:
		c.lease = resp
		for _, shard := range resp.Shards {
			ask := &wire.Lease{Op: wire.LeaseKeys, ID: c.req.Lease.ID}
			w.start(now, c, w.leaseLeg(shard, ask))
		}
	case c.lease == nil:
		w.finish(c, Reply{Lease: resp})
	case resp.More:
		w.finish(c, Reply{Err: fmt.Errorf("%w: too many keys hang on the lease", kv.ErrTooLarge)})
	default:
		c.lease.Lease.Keys = append(c.lease.Lease.Keys, resp.Lease.Keys...)
		if slices.ContainsFunc(c.legs, func(l *leg) bool { return !l.done }) {
			return
		}
		slices.SortFunc(c.lease.Lease.Keys, bytes.Compare)
		w.finish(c, Reply{Lease: c.lease})
	}
}

// leaseInactive has the lease activated that a shard was not told of, and asks
// the shard again then. A lease that is coming to its end is waited for.
func (w *Worker) leaseInactive(now wire.Instant, l *leg, resp *wire.Response) {
	delete(w.calls.open, l.id)
	if resp.Lease == nil {
		w.finish(l.call, Reply{Err: resp.Err()})
		return
	}
	id := resp.Lease.Lease.ID
	w.activate(now, l.shard, id, l.call.req.Deadline, func(now wire.Instant, err error) {
		switch {
		case l.call.done:
		case err == nil:
			w.ask(now, l)
		case errors.Is(err, kv.ErrLeaseNotFound) && !namesLease(l.req.Txn, id):
			w.pauseLeg(now, l) // it was to keep a lease that is gone now, and the key with it
		default:
			w.finish(l.call, Reply{Err: err})
		}
	})
}

// activate sees to it that keys of a shard can be put on a lease.
func (w *Worker) activate(
	now wire.Instant, shard kv.ShardID, id kv.LeaseID, deadline wire.Instant,
	then func(now wire.Instant, err error),
) {
	req := Request{Lease: &wire.Lease{Op: wire.LeaseActivate, ID: id}, Deadline: deadline}
	w.internal(now, shard, req, func(now wire.Instant, r Reply) { then(now, r.Err) })
}

// namesLease reports whether some put of a transaction names a lease.
func namesLease(req *kv.TxnRequest, id kv.LeaseID) bool {
	for _, ops := range [2][]kv.Op{req.Success, req.Failure} {
		for i := range ops {
			put, txn := ops[i].Put, ops[i].Txn
			if put != nil && put.Lease == id || txn != nil && namesLease(txn, id) {
				return true
			}
		}
	}
	return false
}

// attachTimeout is how long a shard's leader waits for the system shard.
const attachTimeout = 4 * legTimeout

// runAttaches asks the system shard what the leaders of shards here want of it.
func (w *Worker) runAttaches(now wire.Instant) {
	list := w.out.Attaches
	w.out.Attaches = nil
	for _, at := range list {
		req := Request{
			Lease:    &wire.Lease{Op: wire.LeaseAttach, ID: at.ID, Shard: at.Shard},
			Deadline: now + attachTimeout,
		}
		w.internal(now, kv.SystemShard, req, func(now wire.Instant, r Reply) {
			w.attached(now, at, r)
		})
	}
}

func (w *Worker) attached(now wire.Instant, at replica.Attach, r Reply) {
	resp := &wire.Response{Lease: r.Lease}
	switch {
	case errors.Is(r.Err, kv.ErrLeaseNotFound):
		resp = &wire.Response{Code: wire.CodeLeaseNotFound, Text: r.Err.Error()}
	case r.Err != nil:
		resp = &wire.Response{Code: wire.CodeRetry}
	}
	if rep := w.replicas[at.Shard]; rep != nil {
		rep.Attached(now, at, resp, &w.out)
	}
}
