package drive

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/miruvor/miruvor/internal/history"
	"github.com/miruvor/miruvor/internal/kv"
)

// Store is a Target that is a kv.Store: what speaks HTTP, for one.
type Store struct{ Store kv.Store }

// Send implements Target. It holds the store to its word about errors: what is
// not uncertain has not happened.
func (t Store) Send(ctx context.Context, c *history.Call) {
	err := t.send(ctx, c)
	switch {
	case err == nil:
		c.Outcome = history.Answered
		return
	case c.Kind != history.Txn || errors.Is(err, kv.ErrUncertain):
		c.Outcome = history.Unknown
	case errors.Is(err, kv.ErrCompacted):
		c.Outcome = history.Forgotten
	default:
		c.Outcome = history.Refused
	}
	c.Error = err.Error()
}

func (t Store) send(ctx context.Context, c *history.Call) error {
	switch c.Kind {
	case history.Grant:
		lease, err := t.Store.LeaseGrant(ctx, kv.LeaseGrantRequest{TTL: c.TTL})
		if err == nil {
			c.Revision, c.Lease = int64(lease.Revision), int64(lease.ID)
		}
		return err
	case history.Revoke:
		rev, err := t.Store.LeaseRevoke(ctx, kv.LeaseID(c.Lease))
		if err == nil {
			c.Revision = int64(rev)
		}
		return err
	case history.KeepAlive:
		lease, err := t.Store.LeaseKeepAlive(ctx, kv.LeaseID(c.Lease))
		if err == nil {
			c.TTL = lease.TTL
		}
		return err
	case history.Compact:
		_, err := t.Store.Compact(ctx, kv.Revision(c.At))
		return err
	}
	if c.Plain && c.Then[0].Kind == history.Get {
		return t.sendRange(ctx, c)
	}
	return t.sendTxn(ctx, c)
}

func (t Store) sendRange(ctx context.Context, c *history.Call) error {
	req := storeRange(c.Then[0])
	req.Revision, req.Serializable = kv.Revision(c.At), c.Weak
	resp, err := t.Store.Range(ctx, *req)
	if err == nil {
		c.Succeeded, c.Revision = true, int64(resp.Revision)
		c.Parts = []history.Part{rangePart(&resp)}
	}
	return err
}

func (t Store) sendTxn(ctx context.Context, c *history.Call) error {
	req := kv.TxnRequest{Success: storeOps(c.Then), Failure: storeOps(c.Else)}
	for _, i := range c.Ifs {
		req.Compares = append(req.Compares, kv.Compare{
			Key: []byte(i.Key), Target: kv.CompareMod, Number: i.Mod,
		})
	}
	resp, err := t.Store.Txn(ctx, req)
	if err != nil {
		return err
	}
	c.Succeeded, c.Revision = resp.Succeeded, int64(resp.Revision)
	for i := range resp.Results {
		c.Parts = append(c.Parts, storePart(&resp.Results[i]))
	}
	return nil
}

func storeOps(actions []history.Action) []kv.Op {
	var ops []kv.Op
	for _, a := range actions {
		switch a.Kind {
		case history.Put:
			ops = append(ops, kv.Op{Put: &kv.PutRequest{
				Key: []byte(a.From), Value: []byte(a.Value), Lease: kv.LeaseID(a.Lease),
				PrevKV: a.PrevKV,
			}})
		case history.Delete:
			ops = append(ops, kv.Op{Delete: &kv.DeleteRequest{
				Range: storeKeys(a.From, a.To), PrevKV: a.PrevKV,
			}})
		default:
			ops = append(ops, kv.Op{Range: storeRange(a)})
		}
	}
	return ops
}

func storeRange(a history.Action) *kv.RangeRequest {
	return &kv.RangeRequest{Range: storeKeys(a.From, a.To), Limit: int(a.Limit), WantCount: true}
}

func storeKeys(from, to string) kv.Range {
	switch to {
	case "":
		return kv.PointRange([]byte(from))
	case "\x00":
		return kv.Range{Start: []byte(from)}
	}
	return kv.Range{Start: []byte(from), End: []byte(to)}
}

func storePart(got *kv.Result) history.Part {
	switch {
	case got.Range != nil:
		return rangePart(got.Range)
	case got.Delete != nil:
		return history.Part{Deleted: got.Delete.Deleted, Prev: storePairs(got.Delete.Prev)}
	case got.Put != nil && got.Put.Prev != nil:
		return history.Part{Prev: []history.Pair{storePair(got.Put.Prev)}}
	}
	return history.Part{}
}

func rangePart(resp *kv.RangeResponse) history.Part {
	return history.Part{Pairs: storePairs(resp.KVs), Count: resp.Count, More: resp.More}
}

func storePairs(kvs []kv.KeyValue) []history.Pair {
	var pairs []history.Pair
	for i := range kvs {
		pairs = append(pairs, storePair(&kvs[i]))
	}
	return pairs
}

func storePair(kv *kv.KeyValue) history.Pair {
	return history.Pair{
		Key: string(kv.Key), Value: string(kv.Value), Create: int64(kv.CreateRevision),
		Mod: int64(kv.ModRevision), Version: kv.Version, Lease: int64(kv.Lease),
	}
}

// Follow implements Target. w begins at a revision, since a store does not tell at
// which one the present is.
func (t Store) Follow(
	ctx context.Context, h *history.History, w *history.Watch, rng *rand.Rand,
) {
	stream, err := t.Store.Watch(ctx)
	if err != nil {
		w.Tell(history.Told{At: h.Now(), Error: err.Error()})
		return
	}
	defer stream.Close()
	retry := time.NewTicker(50 * time.Millisecond)
	defer retry.Stop()
	for {
		_, err := stream.Add(kv.WatchRequest{
			Range: storeKeys(w.From, w.To), From: kv.Revision(w.Start), PrevKV: w.PrevKV,
		})
		if err == nil {
			break
		}
		w.Tell(history.Told{At: h.Now(), Error: err.Error()})
		if ctx.Err() != nil || errors.Is(err, kv.ErrInvalid) {
			return
		}
		pause(ctx, retry)
	}
	stop := askProgress(ctx, stream, time.Duration(50+rng.IntN(200))*time.Millisecond)
	defer stop()
	for mark := int64(0); ; {
		resp, err := stream.Next(ctx)
		if err != nil {
			return
		}
		told := storeTold(&resp, h.Now())
		if told.Progress && told.Error == "" && told.Revision < mark {
			continue // of the whole stream, and overtaken by events
		}
		mark = told.Revision
		w.Tell(told)
		h.Saw(told.Revision)
		if told.Error != "" {
			return
		}
	}
}

// askProgress asks for progress again and again, until ctx ends or stop is called.
func askProgress(
	ctx context.Context, stream kv.WatchStream, every time.Duration,
) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for pause(ctx, tick); ctx.Err() == nil; pause(ctx, tick) {
			stream.Progress()
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

func storeTold(resp *kv.WatchResponse, at time.Duration) history.Told {
	told := history.Told{
		At: at, Revision: int64(resp.Revision), Progress: len(resp.Events) == 0,
	}
	if resp.Compacted != 0 {
		told.Error = kv.ErrCompacted.Error()
	}
	for i := range resp.Events {
		e := &resp.Events[i]
		got := history.Event{Pair: storePair(&e.KV), Deleted: e.Deleted}
		if e.Prev != nil {
			got.Prev = storePair(e.Prev)
		}
		told.Events = append(told.Events, got)
	}
	return told
}
