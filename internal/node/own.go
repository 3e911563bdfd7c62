package node

import (
	"context"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/worker"
)

// behindMax is how long a serializable read that lacks a write of this node's is
// tried as a linearizable one.
const behindMax = 500 * time.Millisecond

// wrote takes note of a write that is about to be answered.
func (n *Node) wrote(rev kv.Revision) {
	for {
		last := n.written.Load()
		if int64(rev) <= last || n.written.CompareAndSwap(last, int64(rev)) {
			return
		}
	}
}

// wroteBy is wrote, if the transaction that is about to be answered has written.
func (n *Node) wroteBy(resp *kv.TxnResponse) {
	if changes(resp) {
		n.wrote(resp.Revision)
	}
}

func changes(resp *kv.TxnResponse) bool {
	for i := range resp.Results {
		switch r := &resp.Results[i]; {
		case r.Put != nil, r.Delete != nil && r.Delete.Deleted > 0, r.Txn != nil && changes(r.Txn):
			return true
		}
	}
	return false
}

// readLocal reads without the leader, unless that would miss a write that this
// node has answered: who asks one node only always reads what it wrote there, as
// with etcd. Without a leader it is the old state after all, and no later read
// waits for that write again.
func (n *Node) readLocal(ctx context.Context, req kv.RangeRequest) (kv.RangeResponse, error) {
	written := n.written.Load()
	r, err := n.do(ctx, req.Start, worker.Request{Range: &req})
	if err != nil {
		return kv.RangeResponse{}, err
	}
	if int64(r.Range.Revision) >= written {
		return *r.Range, nil
	}
	req.Serializable = false
	soon, cancel := context.WithTimeout(ctx, behindMax)
	defer cancel()
	fresh, err := n.do(soon, req.Start, worker.Request{Range: &req})
	switch {
	case err == nil:
		return *fresh.Range, nil
	case ctx.Err() == nil: // it was not for lack of the caller's time
		n.written.CompareAndSwap(written, 0)
	}
	return *r.Range, nil
}
