package etcdimport

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
)

// target is what is imported into. Its methods are for one goroutine at a time,
// but for write, which any number may call while the mark stays as it is.
type target struct {
	store   kv.Store
	keys    kv.Range
	limits  kv.Limits
	markKey []byte
	*patience

	// mark is the one in the store, and turn its mod revision: writes compare
	// that. by tells this import from others.
	mark mark
	turn kv.Revision
	by   uint64
}

func newTarget(o *Options, keys kv.Range, p *patience) *target {
	return &target{
		store: o.To, keys: keys, limits: o.Limits, markKey: MarkKey(o.Prefix), patience: p,
		by: rand.Uint64(),
	}
}

// load reads the mark; found is false if there is none.
func (t *target) load(ctx context.Context) (found bool, err error) {
	var resp kv.RangeResponse
	err = t.once(ctx, func(ctx context.Context) (err error) {
		resp, err = t.store.Range(ctx, kv.RangeRequest{Range: kv.PointRange(t.markKey)})
		return err
	})
	if err != nil || len(resp.KVs) == 0 {
		t.turn, t.mark = 0, mark{}
		return false, err
	}
	t.turn = resp.KVs[0].ModRevision
	t.mark, err = decodeMark(resp.KVs[0].Value)
	return true, err
}

// isEmpty tells whether the target holds none of the keys to import.
func (t *target) isEmpty(ctx context.Context) (bool, error) {
	for _, err := range t.scan(ctx, nil) {
		return false, err
	}
	return true, nil
}

const targetPageBytes = 2 << 20

// scan reads the keys above after, in order, each page as of its own moment.
func (t *target) scan(ctx context.Context, after []byte) iter.Seq2[kv.KeyValue, error] {
	req := kv.RangeRequest{Range: t.keys, BytesMax: targetPageBytes}
	if after != nil {
		req.Start = append(slices.Clone(after), 0)
	}
	return func(yield func(kv.KeyValue, error) bool) {
		for more := true; more; {
			var resp kv.RangeResponse
			err := t.persist(ctx, "read the target", func(ctx context.Context) (err error) {
				resp, err = t.store.Range(ctx, req)
				return err
			})
			if err != nil {
				yield(kv.KeyValue{}, err)
				return
			}
			for i := range resp.KVs {
				if !isMark(resp.KVs[i].Key) && !yield(resp.KVs[i], nil) {
					return
				}
			}
			if more = resp.More && len(resp.KVs) > 0; more {
				req.Start = append(slices.Clone(resp.KVs[len(resp.KVs)-1].Key), 0)
			}
		}
	}
}

// turnIsOurs holds as long as the mark is the one written last.
func (t *target) turnIsOurs() []kv.Compare {
	return []kv.Compare{{Key: t.markKey, Target: kv.CompareMod, Number: int64(t.turn)}}
}

// write makes changes, as one, without a new mark: more of them may follow at
// the same turn, and made again they change nothing.
func (t *target) write(ctx context.Context, ops []kv.Op) error {
	req := kv.TxnRequest{Compares: t.turnIsOurs(), Success: ops}
	resp, err := t.txn(ctx, req)
	if err == nil && !resp.Succeeded {
		err = ErrOvertaken
	}
	return err
}

// commit makes changes and the mark next, as one. If they are too many together,
// the mark is written behind them.
func (t *target) commit(ctx context.Context, ops []kv.Op, next mark) error {
	next.By, next.Seq = t.by, t.mark.Seq+1
	req := t.marking(ops, next)
	if len(ops) > 0 && t.limits.CheckTxn(&req) != nil {
		if err := t.write(ctx, ops); err != nil {
			return err
		}
		req = t.marking(nil, next)
	}
	resp, err := t.txn(ctx, req)
	switch {
	case err != nil:
		return err
	case resp.Succeeded:
		t.mark, t.turn = next, resp.Revision
		return nil
	}
	return t.settle(next, resp.Results[0].Range.KVs)
}

func (t *target) marking(ops []kv.Op, next mark) kv.TxnRequest {
	put := kv.Op{Put: &kv.PutRequest{Key: t.markKey, Value: next.encode()}}
	look := kv.Op{Range: &kv.RangeRequest{Range: kv.PointRange(t.markKey)}}
	return kv.TxnRequest{
		Compares: t.turnIsOurs(),
		Success:  append(slices.Clone(ops), put),
		Failure:  []kv.Op{look},
	}
}

// settle finds out why the mark had changed: because an attempt of the same commit
// whose answer was lost has written it, or because of others.
func (t *target) settle(next mark, found []kv.KeyValue) error {
	if len(found) == 0 {
		return fmt.Errorf("%w, and has finished: there is no mark any more", ErrOvertaken)
	}
	there, err := decodeMark(found[0].Value)
	switch {
	case err != nil:
		return err
	case there.By != next.By || there.Seq != next.Seq:
		return ErrOvertaken
	}
	t.mark, t.turn = next, found[0].ModRevision
	return nil
}

// finish takes the mark away, so that there is nothing to resume.
func (t *target) finish(ctx context.Context) error {
	resp, err := t.txn(ctx, kv.TxnRequest{
		Compares: t.turnIsOurs(),
		Success:  []kv.Op{{Delete: &kv.DeleteRequest{Range: kv.PointRange(t.markKey)}}},
		Failure:  []kv.Op{{Range: &kv.RangeRequest{Range: kv.PointRange(t.markKey)}}},
	})
	if err == nil && !resp.Succeeded && len(resp.Results[0].Range.KVs) > 0 {
		err = ErrOvertaken
	}
	return err
}

// txn runs a transaction that may run twice.
func (t *target) txn(ctx context.Context, req kv.TxnRequest) (resp kv.TxnResponse, err error) {
	err = t.persist(ctx, "write to the target", func(ctx context.Context) error {
		resp, err = t.store.Txn(ctx, req)
		return err
	})
	if errors.Is(err, kv.ErrTooLarge) || errors.Is(err, kv.ErrTooManyOps) {
		err = fmt.Errorf("%w; the target's --max-request-bytes and --max-txn-ops must not be "+
			"below those given here", err)
	}
	return resp, err
}
