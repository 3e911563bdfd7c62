package drive

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"

	"github.com/miruvor/miruvor/internal/history"
)

// Etcd is a Target that speaks etcd's API.
type Etcd struct{ Client *clientv3.Client }

// DialEtcd is an Etcd of a client that gives up silent connections soon. Its
// Client is the caller's to close.
func DialEtcd(endpoints []string) (Etcd, error) {
	client, err := clientv3.New(clientv3.Config{
		Endpoints: endpoints, Logger: zap.NewNop(),
		DialKeepAliveTime: time.Second, DialKeepAliveTimeout: time.Second,
		BackoffWaitBetween: 10 * time.Millisecond,
	})
	return Etcd{client}, err
}

// Send implements Target.
func (t Etcd) Send(ctx context.Context, c *history.Call) {
	err := t.send(ctx, c)
	c.Outcome = etcdOutcome(c, err)
	if err != nil {
		c.Error = err.Error()
	}
}

// etcdOutcome tells what an error says of a call.
func etcdOutcome(c *history.Call, err error) history.Outcome {
	if err == nil {
		return history.Answered
	}
	var e rpctypes.EtcdError
	if !errors.As(err, &e) || c.Kind != history.Txn {
		return history.Unknown
	}
	if errors.Is(err, rpctypes.ErrCompacted) {
		return history.Forgotten
	}
	switch e.Code() {
	case codes.FailedPrecondition, codes.InvalidArgument, codes.OutOfRange, codes.NotFound,
		codes.ResourceExhausted:
		return history.Refused
	}
	return history.Unknown
}

func (t Etcd) send(ctx context.Context, c *history.Call) error {
	switch c.Kind {
	case history.Grant:
		resp, err := t.Client.Grant(ctx, c.TTL)
		if err == nil {
			c.Revision, c.Lease = resp.Revision, int64(resp.ID)
		}
		return err
	case history.Revoke:
		resp, err := t.Client.Revoke(ctx, clientv3.LeaseID(c.Lease))
		if err == nil {
			c.Revision = resp.Header.Revision
		}
		return err
	case history.KeepAlive:
		resp, err := t.Client.KeepAliveOnce(ctx, clientv3.LeaseID(c.Lease))
		if err == nil {
			c.TTL = resp.TTL
		}
		return err
	case history.Compact:
		_, err := t.Client.Compact(ctx, c.At)
		return err
	}
	if c.Plain {
		return t.sendPlain(ctx, c)
	}
	return t.sendTxn(ctx, c)
}

func (t Etcd) sendPlain(ctx context.Context, c *history.Call) error {
	resp, err := t.Client.Do(ctx, etcdOp(c, c.Then[0]))
	if err != nil {
		return err
	}
	var header *pb.ResponseHeader
	var part history.Part
	switch {
	case resp.Put() != nil:
		got := (*pb.PutResponse)(resp.Put())
		header, part = got.Header, putPart(got)
	case resp.Get() != nil:
		got := (*pb.RangeResponse)(resp.Get())
		header, part = got.Header, getPart(got)
	default:
		got := (*pb.DeleteRangeResponse)(resp.Del())
		header, part = got.Header, deletePart(got)
	}
	c.Succeeded, c.Revision, c.Parts = true, header.Revision, []history.Part{part}
	return nil
}

func (t Etcd) sendTxn(ctx context.Context, c *history.Call) error {
	var ifs []clientv3.Cmp
	for _, i := range c.Ifs {
		ifs = append(ifs, clientv3.Compare(clientv3.ModRevision(i.Key), "=", i.Mod))
	}
	resp, err := t.Client.Txn(ctx).If(ifs...).Then(etcdOps(c, c.Then)...).
		Else(etcdOps(c, c.Else)...).Commit()
	if err != nil {
		return err
	}
	c.Succeeded, c.Revision = resp.Succeeded, resp.Header.Revision
	for _, got := range resp.Responses {
		switch {
		case got.GetResponsePut() != nil:
			c.Parts = append(c.Parts, putPart(got.GetResponsePut()))
		case got.GetResponseRange() != nil:
			c.Parts = append(c.Parts, getPart(got.GetResponseRange()))
		default:
			c.Parts = append(c.Parts, deletePart(got.GetResponseDeleteRange()))
		}
	}
	return nil
}

func etcdOps(c *history.Call, actions []history.Action) []clientv3.Op {
	var ops []clientv3.Op
	for _, a := range actions {
		ops = append(ops, etcdOp(c, a))
	}
	return ops
}

func etcdOp(c *history.Call, a history.Action) clientv3.Op {
	var opts []clientv3.OpOption
	if a.To != "" {
		opts = append(opts, clientv3.WithRange(a.To))
	}
	if a.PrevKV {
		opts = append(opts, clientv3.WithPrevKV())
	}
	switch a.Kind {
	case history.Put:
		if a.Lease != 0 {
			opts = append(opts, clientv3.WithLease(clientv3.LeaseID(a.Lease)))
		}
		return clientv3.OpPut(a.From, a.Value, opts...)
	case history.Delete:
		return clientv3.OpDelete(a.From, opts...)
	}
	if a.Limit != 0 {
		opts = append(opts, clientv3.WithLimit(a.Limit))
	}
	if c.At != 0 {
		opts = append(opts, clientv3.WithRev(c.At))
	}
	if c.Weak {
		opts = append(opts, clientv3.WithSerializable())
	}
	return clientv3.OpGet(a.From, opts...)
}

// Follow implements Target.
func (t Etcd) Follow(
	ctx context.Context, h *history.History, w *history.Watch, rng *rand.Rand,
) {
	opts := []clientv3.OpOption{
		clientv3.WithRev(w.Start), clientv3.WithCreatedNotify(), clientv3.WithProgressNotify(),
	}
	if w.To != "" {
		opts = append(opts, clientv3.WithRange(w.To))
	}
	if w.PrevKV {
		opts = append(opts, clientv3.WithPrevKV())
	}
	watch := t.Client.Watch(ctx, w.From, opts...)
	tick := time.NewTicker(time.Duration(50+rng.IntN(200)) * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case resp, ok := <-watch:
			if !ok {
				return
			}
			w.Tell(etcdTold(&resp, h.Now()))
			h.Saw(resp.Header.Revision)
		case <-tick.C:
			if rng.IntN(2) == 0 {
				ask, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
				_ = t.Client.RequestProgress(ask)
				cancel()
			}
		}
	}
}

func etcdTold(resp *clientv3.WatchResponse, at time.Duration) history.Told {
	told := history.Told{
		At: at, Revision: resp.Header.Revision, Created: resp.Created,
		Progress: resp.IsProgressNotify(),
	}
	if err := resp.Err(); err != nil {
		told.Error = err.Error()
	}
	for _, e := range resp.Events {
		got := history.Event{Pair: etcdPair(e.Kv), Deleted: e.Type == mvccpb.Event_DELETE}
		if e.PrevKv != nil {
			got.Prev = etcdPair(e.PrevKv)
		}
		told.Events = append(told.Events, got)
	}
	return told
}

func putPart(resp *pb.PutResponse) history.Part {
	if resp.PrevKv == nil {
		return history.Part{}
	}
	return history.Part{Prev: []history.Pair{etcdPair(resp.PrevKv)}}
}

func getPart(resp *pb.RangeResponse) history.Part {
	return history.Part{Pairs: etcdPairs(resp.Kvs), Count: resp.Count, More: resp.More}
}

func deletePart(resp *pb.DeleteRangeResponse) history.Part {
	return history.Part{Deleted: resp.Deleted, Prev: etcdPairs(resp.PrevKvs)}
}

func etcdPairs(kvs []*mvccpb.KeyValue) []history.Pair {
	var pairs []history.Pair
	for _, kv := range kvs {
		pairs = append(pairs, etcdPair(kv))
	}
	return pairs
}

func etcdPair(kv *mvccpb.KeyValue) history.Pair {
	return history.Pair{
		Key: string(kv.Key), Value: string(kv.Value), Create: kv.CreateRevision,
		Mod: kv.ModRevision, Version: kv.Version, Lease: kv.Lease,
	}
}
