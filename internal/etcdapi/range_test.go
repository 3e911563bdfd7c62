package etcdapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// TestTies: what compares equal comes in the order that package sort has it in,
// because etcd's answers do.
func TestTies(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for size := range 200 {
		kvs := make([]kv.KeyValue, size)
		for i := range kvs {
			kvs[i] = kv.KeyValue{Key: fmt.Append(nil, i), Version: random.Int64N(5)}
		}
		for _, descend := range []bool{false, true} {
			want := slices.Clone(kvs)
			byVersion := sort.Interface(versions(want))
			r := &pb.RangeRequest{
				SortTarget: pb.RangeRequest_VERSION, SortOrder: pb.RangeRequest_ASCEND,
			}
			if descend {
				byVersion, r.SortOrder = sort.Reverse(byVersion), pb.RangeRequest_DESCEND
			}
			sort.Sort(byVersion)
			got := slices.Clone(kvs)
			sortBy(r, got)
			same := func(a, b kv.KeyValue) bool { return string(a.Key) == string(b.Key) }
			if !slices.EqualFunc(got, want, same) {
				t.Fatalf("%d keys, descending: %v: another order", size, descend)
			}
		}
	}
}

type versions []kv.KeyValue

func (v versions) Len() int           { return len(v) }
func (v versions) Swap(i, j int)      { v[i], v[j] = v[j], v[i] }
func (v versions) Less(i, j int) bool { return cmp.Less(v[i].Version, v[j].Version) }

// overtaken is a store with pages of one key, that forgets the past of a read
// after its first page, as often as left says. asked is what it was asked.
type overtaken struct {
	*kvfake.Store
	left  int
	asked []kv.RangeRequest
}

func (o *overtaken) Range(
	ctx context.Context, req kv.RangeRequest,
) (kv.RangeResponse, error) {
	o.asked = append(o.asked, req)
	if len(req.Start) > 1 && o.left > 0 {
		o.left--
		return kv.RangeResponse{}, fmt.Errorf("%w: in a test", kv.ErrCompacted)
	}
	req.BytesMax = 1
	return o.Store.Range(ctx, req)
}

// TestOvertaken: a read of the latest revision that a compaction overtakes begins
// again, a few times; one of a revision that its client named is refused.
func TestOvertaken(t *testing.T) {
	for _, test := range []struct {
		left int
		rev  kv.Revision
		ok   bool
	}{{0, 0, true}, {2, 0, true}, {3, 0, false}, {0, 4, true}, {1, 4, false}} {
		store := &overtaken{Store: kvfake.New(), left: test.left}
		for _, key := range []string{"a", "b", "c"} {
			put := kv.PutRequest{Key: []byte(key)}
			if _, err := kv.Put(t.Context(), store, put); err != nil {
				t.Fatal(err)
			}
		}
		api := New(Options{Store: store, Maintainer: store})
		got, err := api.read(t.Context(), &kv.RangeRequest{
			Range: kv.Range{Start: []byte("a")}, Revision: test.rev, WantCount: true,
		})
		switch {
		case test.ok && (err != nil || len(got.KVs) != 3 || got.Count != 3 || got.More):
			t.Errorf("%+v: %d keys, count %d, more: %v, %v",
				test, len(got.KVs), got.Count, got.More, err)
		case !test.ok && !errors.Is(err, kv.ErrCompacted):
			t.Errorf("%+v: %v", test, err)
		}
		// All pages but the first name the revision, and none counts again.
		for _, req := range store.asked {
			if first := len(req.Start) == 1; (req.WantCount != first) ||
				(req.Revision == 0) != (first && test.rev == 0) || req.BytesMax == 0 {
				t.Errorf("%+v: asked %+v", test, req)
			}
		}
	}
}

// endless is a store with no end of large values.
type endless struct {
	*kvfake.Store
	page []kv.KeyValue
}

func (e endless) Range(context.Context, kv.RangeRequest) (kv.RangeResponse, error) {
	return kv.RangeResponse{Revision: 2, KVs: e.page, More: true}, nil
}

// TestTooLong: what no message can hold is refused before it takes the memory.
func TestTooLong(t *testing.T) {
	value := make([]byte, 64<<20)
	store := endless{kvfake.New(), []kv.KeyValue{{Key: []byte("k"), Value: value}}}
	api := New(Options{Store: store, Maintainer: store})
	got, err := api.read(t.Context(), &kv.RangeRequest{Range: kv.Range{Start: []byte("a")}})
	if status.Code(failure(err)) != codes.ResourceExhausted {
		t.Error(err)
	}
	if n := len(got.KVs); n != answerBytesMax/len(value)+1 {
		t.Errorf("after %d values", n)
	}
}
