package etcdapi_test

import (
	"bytes"
	"fmt"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/miruvor/miruvor/internal/etcdapi"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
	"github.com/miruvor/miruvor/internal/node"
)

type house interface {
	kv.Store
	kv.Maintainer
}

// TestHashIsOfKeysAlone: stores with the same keys have the same hash, whatever
// their shards are and however many pages the keys take.
func TestHashIsOfKeysAlone(t *testing.T) {
	stores := map[string]house{
		"a fake":       kvfake.New(),
		"one shard":    startNode(t, node.Cluster{}),
		"five shards":  startNode(t, node.Cluster{Shards: len(splits) + 1, SplitAt: splits}),
		"other values": kvfake.New(),
	}
	sums := map[string]uint32{}
	for name, store := range stores {
		value := bytes.Repeat([]byte{'x'}, 1<<20)
		if name == "other values" {
			value[0] = 'y'
		}
		for i := range 6 {
			put := kv.PutRequest{Key: fmt.Appendf(nil, "k%02d", 3*i), Value: value}
			if _, err := kv.Put(t.Context(), store, put); err != nil {
				t.Fatal(err)
			}
		}
		client := pb.NewMaintenanceClient(
			serve(t, etcdapi.Options{Store: store, Maintainer: store}))
		resp, err := client.HashKV(t.Context(), &pb.HashKVRequest{Revision: 7})
		if err != nil {
			t.Fatal(err)
		}
		if resp.HashRevision != 7 || resp.CompactRevision != -1 || resp.Header.Revision != 7 {
			t.Errorf("%s: %v", name, resp)
		}
		sums[name] = resp.Hash
	}
	if sums["a fake"] != sums["one shard"] || sums["a fake"] != sums["five shards"] ||
		sums["a fake"] == sums["other values"] {
		t.Errorf("the hashes are %v", sums)
	}
}
