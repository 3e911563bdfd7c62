package etcdapi

import (
	"errors"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/metadata"

	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// TestClientVersion: what a client calls its version is text. gRPC's own
// clients can't send anything else, so the gate is asked directly.
func TestClientVersion(t *testing.T) {
	g := newGate(kvfake.New(), newRooms(requestTimeoutDefault), t.Context(), electionTimeoutDefault)
	for version, want := range map[string]error{
		"3.7.3": nil, "": nil, "\xff": rpctypes.ErrGRPCInvalidClientAPIVersion,
	} {
		header := metadata.MD{rpctypes.MetadataClientAPIVersionKey: {version}}
		if _, err := g.Admit("/etcdserverpb.KV/Range", header); !errors.Is(err, want) {
			t.Errorf("version %q: %v", version, err)
		}
	}
}
