package etcdapi

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/miruvor/miruvor/internal/kv"
)

// streamKeysFirst is how many keys the first chunk of a streamed range has.
const streamKeysFirst = 10

// RangeStream reads a range in chunks that together are the answer of Range:
// all of one snapshot, and header, count and whether there is more in the last.
func (s *kvServer) RangeStream(r *pb.RangeRequest, stream pb.KV_RangeStreamServer) error {
	if err := checkRangeStream(r); err != nil {
		return err
	}
	if r.CountOnly {
		return s.streamCount(stream, r)
	}
	c := chunks{api: s.api, request: r, req: rangeRequest(r), size: streamKeysFirst}
	c.req.Reverse, c.req.WantCount, c.req.BytesMax = false, false, pageBytesMax
	c.left = limitOf(r)
	ctx := stream.Context()
	for !c.done {
		chunk, err := c.next(ctx)
		if err != nil {
			return failure(err)
		}
		if err := stream.SendMsg(chunk); err != nil {
			return err
		}
		ctx = kv.GoingOn(stream.Context())
	}
	return nil
}

func (s *kvServer) streamCount(stream pb.KV_RangeStreamServer, r *pb.RangeRequest) error {
	read, err := s.api.store.Range(stream.Context(), rangeRequest(r))
	if err != nil {
		return failure(err)
	}
	h := s.api.heading(read.Revision)
	return stream.SendMsg(&chunkReply{heading: &h, read: read})
}

func checkRangeStream(r *pb.RangeRequest) error {
	if err := checkRange(r); err != nil {
		return err
	}
	byKey := r.SortTarget == pb.RangeRequest_KEY && r.SortOrder == pb.RangeRequest_ASCEND
	switch {
	case r.SortOrder != pb.RangeRequest_NONE && !byKey:
		return status.Error(codes.Unimplemented,
			"RangeStream does not support custom sort orders")
	case hasFilters(r):
		return status.Error(codes.Unimplemented,
			"RangeStream does not support revision filters")
	}
	return nil
}

// chunks are the parts of one streamed range.
type chunks struct {
	api     *API
	request *pb.RangeRequest
	// req is for the next chunk. Its revision is that of the first.
	req kv.RangeRequest
	// size is how many keys the next chunk may have; left how many may still
	// come, 0 if there is no limit.
	size, left int
	// current is the revision of the header, which the store said with the
	// first chunk; sent is how many keys went out.
	current kv.Revision
	sent    int64
	done    bool
}

// next is the next chunk.
func (c *chunks) next(ctx context.Context) (*chunkReply, error) {
	c.req.Limit = c.size
	if c.left > 0 {
		c.req.Limit = min(c.size, c.left)
	}
	read, err := c.api.store.Range(ctx, c.req)
	if err != nil {
		return nil, err
	}
	if c.current == 0 {
		c.current = read.Revision
	}
	if c.req.Revision == 0 {
		c.req.Revision = read.Revision
	}
	c.sent += int64(len(read.KVs))
	if c.request.KeysOnly {
		strip(read.KVs, c.request.SortTarget)
	}
	more := read.More
	if more {
		pass(&c.req, read.KVs[len(read.KVs)-1].Key)
	}
	chunk := &chunkReply{read: kv.RangeResponse{KVs: read.KVs}}
	if !more || len(read.KVs) == c.left {
		return chunk, c.last(ctx, chunk, more)
	}
	if c.left > 0 {
		c.left -= len(read.KVs)
	}
	c.size = nextChunk(c.size, keyValuesSize(read.KVs), c.api.limits.RequestBytesMax)
	return chunk, nil
}

// last completes the last chunk. What a limit left out is counted.
func (c *chunks) last(ctx context.Context, chunk *chunkReply, more bool) error {
	c.done = true
	h := c.api.heading(c.current)
	chunk.heading, chunk.read.More, chunk.read.Count = &h, more, c.sent
	if !more {
		return nil
	}
	rest, err := c.api.store.Range(ctx, kv.RangeRequest{
		Range: c.req.Range, Revision: c.req.Revision,
		Serializable: c.req.Serializable, CountOnly: true,
	})
	chunk.read.Count += rest.Count
	return err
}

// nextChunk is how many keys the chunk after one of size keys may have, so that
// chunks come near a target, in bytes, without going up and down about it.
func nextChunk(size, bytes, bytesTarget int) int {
	switch {
	case bytes < bytesTarget/2:
		return size * 2
	case bytes > bytesTarget*2:
		return max(size/2, 1)
	}
	return size
}
