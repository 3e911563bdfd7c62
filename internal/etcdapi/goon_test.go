package etcdapi_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/miruvor/miruvor/internal/etcdapi"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// fullStore lets one range in, a key a page, and nothing else but what goes on with it.
type fullStore struct {
	*kvfake.Store
	ranges, begun atomic.Int64
}

func (s *fullStore) Range(ctx context.Context, req kv.RangeRequest) (kv.RangeResponse, error) {
	s.ranges.Add(1)
	if !kv.GoesOn(ctx) && s.begun.Add(1) > 1 {
		return kv.RangeResponse{}, kv.ErrTooManyRequests
	}
	if !req.CountOnly {
		req.Limit, req.WantCount = 1, false
	}
	return s.Store.Range(ctx, req)
}

// TestPagesGoOn: a range whose first page was read is read to its end, however much else
// is asked meanwhile.
func TestPagesGoOn(t *testing.T) {
	all := &pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}}
	for name, read := range map[string]func(pb.KVClient) (keys int, err error){
		"Range": func(c pb.KVClient) (int, error) {
			resp, err := c.Range(t.Context(), all)
			return len(resp.GetKvs()), err
		},
		"RangeStream": func(c pb.KVClient) (keys int, err error) {
			stream, err := c.RangeStream(t.Context(), all)
			for err == nil {
				var resp *pb.RangeStreamResponse
				if resp, err = stream.Recv(); errors.Is(err, io.EOF) {
					return keys, nil
				}
				keys += len(resp.GetRangeResponse().GetKvs())
			}
			return keys, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &fullStore{Store: kvfake.New()}
			const count = 5
			for i := range byte(count) {
				put := kv.PutRequest{Key: []byte{'a' + i}}
				if _, err := kv.Put(t.Context(), s.Store, put); err != nil {
					t.Fatal(err)
				}
			}
			client := pb.NewKVClient(serve(t, etcdapi.Options{Store: s, Maintainer: s.Store}))
			keys, err := read(client)
			if pages := s.ranges.Load(); err != nil || keys != count || pages < count {
				t.Errorf("%d keys in %d pages, %v", keys, pages, err)
			}
			if _, err := read(client); err == nil {
				t.Error("another range is let in")
			}
		})
	}
}
