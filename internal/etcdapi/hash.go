package etcdapi

import (
	"context"
	"encoding/binary"
	"errors"
	"hash"
	"hash/crc32"
	"sort"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/miruvor/miruvor/internal/kv"
)

// Hash hashes all keys as they are now.
func (s *maintenanceServer) Hash(
	ctx context.Context, _ *pb.HashRequest,
) (*pb.HashResponse, error) {
	h, err := s.api.hashAt(ctx, 0)
	if err != nil {
		return nil, failure(err)
	}
	return &pb.HashResponse{Header: s.api.header(h.current), Hash: h.sum}, nil
}

// HashKV hashes all keys as they were at a revision; 0 is now. The hash is of
// what a reader at that revision sees, and of nothing else: it is the same on
// every node, for any number of shards, and whatever was compacted. It differs
// from etcd's, which covers the history as well.
func (s *maintenanceServer) HashKV(
	ctx context.Context, r *pb.HashKVRequest,
) (*pb.HashKVResponse, error) {
	h, err := s.api.hashAt(ctx, kv.Revision(r.Revision))
	if err != nil {
		return nil, failure(err)
	}
	compacted, err := s.api.compactedRevision(ctx, h.at)
	if err != nil {
		return nil, failure(err)
	}
	return &pb.HashKVResponse{
		Header: s.api.header(h.current), Hash: h.sum,
		HashRevision: int64(h.at), CompactRevision: int64(compacted),
	}, nil
}

// keysHash is the hash of all keys at a revision, read when another was current.
type keysHash struct {
	sum         uint32
	at, current kv.Revision
}

// hashAt hashes all keys at a revision, 0 for the latest.
func (a *API) hashAt(ctx context.Context, at kv.Revision) (keysHash, error) {
	h := keysHash{at: at}
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	// Of no keys it would be 0, which in messages looks like none.
	_, _ = sum.Write([]byte("keys"))
	req := kv.RangeRequest{Revision: at, BytesMax: pageBytesMax}
	for {
		page, err := a.hashPage(ctx, &req)
		if err != nil {
			return h, err
		}
		h.current = max(h.current, page.Revision)
		if h.at == 0 {
			h.at, req.Revision = page.Revision, page.Revision
		}
		for i := range page.KVs {
			addVersion(sum, &page.KVs[i])
		}
		if !page.More {
			h.sum = sum.Sum32()
			return h, nil
		}
		pass(&req, page.KVs[len(page.KVs)-1].Key)
	}
}

// hashPage reads what the node itself has, unless it does not have that revision
// yet.
func (a *API) hashPage(ctx context.Context, req *kv.RangeRequest) (kv.RangeResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	if req.Revision != 0 {
		own := *req
		own.Serializable = true
		page, err := a.store.Range(ctx, own)
		if !errors.Is(err, kv.ErrFutureRevision) {
			return page, err
		}
	}
	return a.store.Range(ctx, *req)
}

// addVersion adds a version of a key to a hash, with the lengths that part its
// fields.
func addVersion(sum hash.Hash32, v *kv.KeyValue) {
	var numbers [48]byte
	for i, n := range [...]int64{
		int64(len(v.Key)), int64(len(v.Value)), int64(v.CreateRevision), int64(v.ModRevision),
		v.Version, int64(v.Lease),
	} {
		binary.BigEndian.PutUint64(numbers[8*i:], uint64(n))
	}
	_, _ = sum.Write(numbers[:])
	_, _ = sum.Write(v.Key)
	_, _ = sum.Write(v.Value)
}

// compactedRevision is the revision of the last compaction, -1 if there was none.
// It is below or at one that can be read. The store does not tell it, so it is
// searched for: the oldest that can be read.
func (a *API) compactedRevision(
	ctx context.Context, readable kv.Revision,
) (kv.Revision, error) {
	var failed error
	oldest := 1 + sort.Search(int(readable-1), func(i int) bool {
		_, err := a.hashPage(ctx, &kv.RangeRequest{
			Range: kv.PointRange([]byte{0}), Revision: kv.Revision(i + 1),
			CountOnly: true,
		})
		if err != nil && !errors.Is(err, kv.ErrCompacted) {
			failed = err
		}
		return err == nil
	})
	if oldest == 1 {
		return -1, failed
	}
	return kv.Revision(oldest), failed
}
