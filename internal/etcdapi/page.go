package etcdapi

import (
	"context"
	"errors"
	"math"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/miruvor/miruvor/internal/kv"
)

const (
	// pageBytesMax is how much of a range the store is asked for at once.
	pageBytesMax = 4 << 20
	// snapshotTries is how often a read of the latest revision begins again
	// because a compaction overtook it.
	snapshotTries = 3
	// answerBytesMax is the most that gRPC and protobuf can send in a message.
	answerBytesMax = math.MaxInt32
)

// read reads all that req asks for, as one snapshot, as far as an answer can hold
// it. The count, if it was asked for, is that of the whole range. It returns what
// the store does, or an error of gRPC's.
func (a *API) read(ctx context.Context, req *kv.RangeRequest) (kv.RangeResponse, error) {
	req.BytesMax = pageBytesMax
	for try := 1; ; try++ {
		resp, err := a.readPages(ctx, *req)
		// A compaction may pass the revision of the first page before the
		// last is read.
		if try == snapshotTries || req.Revision != 0 || !errors.Is(err, kv.ErrCompacted) {
			return resp, err
		}
	}
}

func (a *API) readPages(ctx context.Context, req kv.RangeRequest) (kv.RangeResponse, error) {
	resp, err := a.store.Range(ctx, req)
	if err != nil {
		return resp, err
	}
	req.WantCount = false
	if req.Revision == 0 {
		req.Revision = resp.Revision
	}
	limit, size := req.Limit, keyValuesSize(resp.KVs)
	if resp.More {
		ctx = kv.GoingOn(ctx)
	}
	for resp.More && (limit == 0 || len(resp.KVs) < limit) {
		if limit > 0 {
			req.Limit = limit - len(resp.KVs)
		}
		pass(&req, resp.KVs[len(resp.KVs)-1].Key)
		page, err := a.store.Range(ctx, req)
		if err != nil {
			return resp, err
		}
		resp.KVs, resp.More = append(resp.KVs, page.KVs...), page.More
		if size += keyValuesSize(page.KVs); size > answerBytesMax {
			return resp, status.Errorf(codes.ResourceExhausted,
				"grpc: trying to send message larger than max (over %d bytes); "+
					"ask in parts, with a limit, or by RangeStream", answerBytesMax)
		}
	}
	return resp, nil
}

// pass has req go on behind the last key of a page.
func pass(req *kv.RangeRequest, last []byte) {
	if req.Reverse {
		req.End = last
		return
	}
	req.Start = append(last[:len(last):len(last)], 0)
}
