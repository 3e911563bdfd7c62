package etcdapi

import (
	"errors"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"

	"github.com/miruvor/miruvor/internal/grpcserver"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// TestCrowd: streams and calls that wait are bounded, and keep nobody out of the rooms of
// those that ask for work.
func TestCrowd(t *testing.T) {
	g := newGate(kvfake.New(), newRooms(requestTimeoutDefault), t.Context(), electionTimeoutDefault)
	const watch, put = "/etcdserverpb.Watch/Watch", "/etcdserverpb.KV/Put"
	var last grpcserver.Room
	for i := range othersMax {
		room, err := g.Admit(watch, nil)
		if err != nil {
			t.Fatalf("stream %d: %v", i, err)
		}
		last = room
	}
	for range 2 {
		for _, method := range []string{watch, "/v3lockpb.Lock/Lock"} {
			if _, err := g.Admit(method, nil); !errors.Is(
				err, rpctypes.ErrGRPCRequestTooManyRequests,
			) {
				t.Errorf("%s, one too many: %v", method, err)
			}
		}
		if room, err := g.Admit(put, nil); err != nil || room == last {
			t.Errorf("put: %v, in the room of streams: %t", err, room == last)
		}
		last.Leave(0, codes.OK)
		if _, err := g.Admit(watch, nil); err != nil {
			t.Errorf("after one has ended: %v", err)
		}
	}
}
