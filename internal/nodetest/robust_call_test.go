package nodetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
)

type kind int

const (
	kindTxn kind = iota
	kindGrant
	kindRevoke
	kindKeepAlive
	kindCompact
	kindPut
	kindDelete
	kindGet
)

// action is one operation of a transaction. A range is [from, to), or from
// alone if to is empty.
type action struct {
	kind     kind
	from, to string
	value    string
	lease    int64
	limit    int64
	prevKV   bool
}

// compare holds while the key was last changed at a revision.
type compare struct {
	key string
	mod int64
}

// request is a transaction, or with kind something about a lease.
type request struct {
	kind       kind
	ifs        []compare
	then, els  []action
	plain      bool // sent as a request of its own, not as a transaction
	weak       bool // serializable
	revision   int64
	lease, ttl int64
}

// part is what an action came to.
type part struct {
	pairs          []pair
	count, deleted int64
	more           bool
	prev           []pair
}

// call is a request and what was answered, and when.
type call struct {
	request
	client     int
	begin, end time.Duration
	err        error
	revision   int64
	succeeded  bool
	parts      []part
}

func (c *call) String() string {
	return fmt.Sprintf("client %d, %v to %v: %+v → %+v at %d, succeeded %v, %v",
		c.client, c.begin, c.end, c.request, c.parts, c.revision, c.succeeded, c.err)
}

// refused says that the request certainly did nothing.
func (c *call) refused() bool {
	var e rpctypes.EtcdError
	if !errors.As(c.err, &e) {
		return false
	}
	switch e.Code() {
	case codes.FailedPrecondition, codes.InvalidArgument, codes.OutOfRange, codes.NotFound,
		codes.ResourceExhausted:
		return c.kind == kindTxn
	}
	return false
}

// issue sends a call and records it.
func (r *robust) issue(ctx context.Context, c *call, client *clientv3.Client) {
	ctx, cancel := context.WithTimeout(ctx, robustPatience)
	defer cancel()
	c.begin = r.now()
	c.send(ctx, client)
	c.end = r.now()
	r.record(c)
}

func (r *robust) record(c *call) {
	r.saw(c.revision)
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.kind == kindCompact {
		r.compacts = append(r.compacts, c)
		return
	}
	r.calls = append(r.calls, c)
}

func (r *robust) saw(rev int64) {
	for at := r.seen.Load(); at < rev && !r.seen.CompareAndSwap(at, rev); at = r.seen.Load() {
	}
}

func (c *call) send(ctx context.Context, client *clientv3.Client) {
	switch c.kind {
	case kindGrant:
		resp, err := client.Grant(ctx, c.ttl)
		if c.err = err; err == nil {
			c.revision, c.request.lease = resp.Revision, int64(resp.ID)
		}
	case kindRevoke:
		resp, err := client.Revoke(ctx, clientv3.LeaseID(c.lease))
		if c.err = err; err == nil {
			c.revision = resp.Header.Revision
		}
	case kindKeepAlive:
		resp, err := client.KeepAliveOnce(ctx, clientv3.LeaseID(c.lease))
		if c.err = err; err == nil {
			c.ttl = resp.TTL
		}
	case kindCompact:
		_, c.err = client.Compact(ctx, c.request.revision)
	default:
		c.sendTxn(ctx, client)
	}
}

func (c *call) sendTxn(ctx context.Context, client *clientv3.Client) {
	if c.plain {
		resp, err := client.Do(ctx, c.op(c.then[0]))
		if c.err = err; err != nil {
			return
		}
		c.succeeded = true
		switch {
		case resp.Put() != nil:
			c.take((*pb.PutResponse)(resp.Put()).Header, putPart((*pb.PutResponse)(resp.Put())))
		case resp.Get() != nil:
			c.take((*pb.RangeResponse)(resp.Get()).Header, getPart((*pb.RangeResponse)(resp.Get())))
		default:
			got := (*pb.DeleteRangeResponse)(resp.Del())
			c.take(got.Header, delPart(got))
		}
		return
	}
	var ifs []clientv3.Cmp
	for _, i := range c.ifs {
		ifs = append(ifs, clientv3.Compare(clientv3.ModRevision(i.key), "=", i.mod))
	}
	resp, err := client.Txn(ctx).If(ifs...).Then(c.ops(c.then)...).Else(c.ops(c.els)...).Commit()
	if c.err = err; err != nil {
		return
	}
	c.succeeded, c.revision = resp.Succeeded, resp.Header.Revision
	for _, got := range resp.Responses {
		switch {
		case got.GetResponsePut() != nil:
			c.parts = append(c.parts, putPart(got.GetResponsePut()))
		case got.GetResponseRange() != nil:
			c.parts = append(c.parts, getPart(got.GetResponseRange()))
		default:
			c.parts = append(c.parts, delPart(got.GetResponseDeleteRange()))
		}
	}
}

func (c *call) take(header *pb.ResponseHeader, p part) {
	c.revision, c.parts = header.Revision, []part{p}
}

func (c *call) ops(actions []action) []clientv3.Op {
	var ops []clientv3.Op
	for _, a := range actions {
		ops = append(ops, c.op(a))
	}
	return ops
}

func (c *call) op(a action) clientv3.Op {
	var opts []clientv3.OpOption
	if a.to != "" {
		opts = append(opts, clientv3.WithRange(a.to))
	}
	if a.prevKV {
		opts = append(opts, clientv3.WithPrevKV())
	}
	switch a.kind {
	case kindPut:
		if a.lease != 0 {
			opts = append(opts, clientv3.WithLease(clientv3.LeaseID(a.lease)))
		}
		return clientv3.OpPut(a.from, a.value, opts...)
	case kindDelete:
		return clientv3.OpDelete(a.from, opts...)
	}
	if a.limit != 0 {
		opts = append(opts, clientv3.WithLimit(a.limit))
	}
	if c.request.revision != 0 {
		opts = append(opts, clientv3.WithRev(c.request.revision))
	}
	if c.weak {
		opts = append(opts, clientv3.WithSerializable())
	}
	return clientv3.OpGet(a.from, opts...)
}

func putPart(resp *pb.PutResponse) part {
	if resp.PrevKv == nil {
		return part{}
	}
	return part{prev: []pair{toPair(resp.PrevKv)}}
}

func getPart(resp *pb.RangeResponse) part {
	return part{pairs: toPairs(resp.Kvs), count: resp.Count, more: resp.More}
}

func delPart(resp *pb.DeleteRangeResponse) part {
	return part{deleted: resp.Deleted, prev: toPairs(resp.PrevKvs)}
}

func toPairs(kvs []*mvccpb.KeyValue) []pair {
	var pairs []pair
	for _, kv := range kvs {
		pairs = append(pairs, toPair(kv))
	}
	return pairs
}

func toPair(kv *mvccpb.KeyValue) pair {
	return pair{
		key: string(kv.Key), value: string(kv.Value), create: kv.CreateRevision,
		mod: kv.ModRevision, version: kv.Version, lease: kv.Lease,
	}
}
