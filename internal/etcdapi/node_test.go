package etcdapi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"

	"github.com/miruvor/miruvor/internal/etcdapi"
	"github.com/miruvor/miruvor/internal/node"
)

// splits parts the keys of stories, and those of long ranges.
var splits = [][]byte{[]byte("b"), []byte("k10"), []byte("l"), []byte("n")}

// TestStoriesOfNodes has a real node answer the stories whose answers do not
// depend on the time, with one shard and with many.
func TestStoriesOfNodes(t *testing.T) {
	for _, story := range []string{"odd", "put", "range", "stream", "txn"} {
		for _, cluster := range []node.Cluster{{}, {Shards: len(splits) + 1, SplitAt: splits}} {
			t.Run(fmt.Sprint(story, max(cluster.Shards, 1)), func(t *testing.T) {
				t.Parallel()
				s := newNodeStory(t, cluster)
				datadriven.RunTest(t, "testdata/stories/"+story+".txt", s.run)
			})
		}
	}
}

// newNodeStory is a client of a node alone in its cluster.
func newNodeStory(t *testing.T, cluster node.Cluster) *story {
	t.Helper()
	n := startNode(t, cluster)
	s := &story{}
	s.connect(serve(t, etcdapi.Options{Store: n, Maintainer: n, Limits: storyLimits()}))
	return s
}

func startNode(t *testing.T, cluster node.Cluster) *node.Node {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	peer := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	cluster.Members = []node.Member{{Name: "alone", Peer: peer}}
	n, err := node.Start(node.Config{
		Name: "alone", Listen: peer, Cluster: cluster, Limits: storyLimits(),
		Durability: node.DurabilityMemory, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := n.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	becomeReady(t, n)
	return n
}

// becomeReady polls until a node serves: it tells nobody that it is ready.
func becomeReady(t *testing.T, n *node.Node) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 2000 {
		if st, err := n.Status(t.Context()); err == nil && st.Ready {
			return
		}
		<-tick.C
	}
	t.Fatal("the node does not become ready")
}

// TestLongRange: a range has no bound on its bytes, in whatever order it is
// read, and is one snapshot.
func TestLongRange(t *testing.T) {
	const keys, valueBytes = 32, 400_000
	s := newNodeStory(t, node.Cluster{Shards: len(splits) + 1, SplitAt: splits})
	random := rand.NewChaCha8([32]byte{})
	var values [][]byte
	for i := range keys {
		put := &pb.PutRequest{
			Key: fmt.Appendf(nil, "k%02d", i), Value: make([]byte, valueBytes),
		}
		_, _ = random.Read(put.Value)
		if _, err := s.kv.Put(t.Context(), put); err != nil {
			t.Fatal(err)
		}
		values = append(values, put.Value)
	}
	for name, req := range map[string]*pb.RangeRequest{
		"ascending":  {},
		"descending": {SortOrder: pb.RangeRequest_DESCEND},
		"limited":    {Limit: keys - 1},
		"last few":   {SortOrder: pb.RangeRequest_DESCEND, Limit: keys - 1},
		"by revision": {
			SortOrder: pb.RangeRequest_DESCEND, SortTarget: pb.RangeRequest_MOD,
		},
	} {
		t.Run(name, func(t *testing.T) {
			req.Key, req.RangeEnd = []byte("k"), []byte("l")
			got, err := s.kv.Range(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			want := slices.Clone(values)
			if req.SortOrder == pb.RangeRequest_DESCEND {
				slices.Reverse(want)
			}
			checkLong(t, got, want, req.Limit)
		})
	}
	t.Run("stream", func(t *testing.T) {
		req := &pb.RangeRequest{Key: []byte("k"), RangeEnd: []byte{0}}
		whole, chunks := receiveAll(t, s.kv, req)
		checkLong(t, whole, values, 0)
		if chunks < 4 {
			t.Errorf("%d bytes came in %d chunks", keys*valueBytes, chunks)
		}
	})
}

// checkLong compares a range with the values it should hold, and with a limit
// the first of them.
func checkLong(t *testing.T, got *pb.RangeResponse, want [][]byte, limit int64) {
	t.Helper()
	count := len(want)
	if limit > 0 {
		want = want[:limit]
	}
	if got.Count != int64(count) || got.More != (len(want) < count) {
		t.Errorf("count %d, more: %v", got.Count, got.More)
	}
	if len(got.Kvs) != len(want) {
		t.Fatalf("%d keys, want %d", len(got.Kvs), len(want))
	}
	for i := range want {
		if !bytes.Equal(got.Kvs[i].Value, want[i]) {
			t.Fatalf("key %d, %q, has another value", i, got.Kvs[i].Key)
		}
	}
}

// receiveAll merges the chunks of a range, and counts them.
func receiveAll(
	t *testing.T, client pb.KVClient, req *pb.RangeRequest,
) (whole *pb.RangeResponse, chunks int) {
	t.Helper()
	stream, err := client.RangeStream(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	whole = &pb.RangeResponse{}
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return whole, chunks
		}
		if err != nil {
			t.Fatal(err)
		}
		chunks++
		proto.Merge(whole, chunk.RangeResponse)
	}
}
