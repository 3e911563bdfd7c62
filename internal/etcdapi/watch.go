package etcdapi

import (
	"context"
	"errors"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/miruvor/miruvor/internal/kv"
)

// watchServer is etcd's Watch service. A gRPC stream carries any number of
// watches, and is two goroutines over one kv.WatchStream:
//
//	client ──> receiver ──Add, Remove──> kv.WatchStream
//	              └──notices──> sender <──Next──┘
//	client <───────────────────────┘
//
// The receiver decides what a request is worth, the sender alone sends. A
// client that reads slowly blocks the sender, and so the kv.WatchStream, which
// loses nothing; one that does not read at all blocks the receiver besides.
type watchServer struct {
	pb.UnimplementedWatchServer
	api *API
}

// invalidWatchID is the id of replies that are of no watch, or of all.
const invalidWatchID = -1

// watch is one watch of a stream, under the client's id and the store's.
type watch struct {
	id    int64
	inner kv.WatchID
	// from is the first revision that the client asked for, 0 for what comes.
	from kv.Revision
	// notify says that the client wants to hear of progress, fragment that it
	// takes long responses in parts.
	notify, fragment bool
	// quiet says that no event was sent since the last tick of progress, due
	// that the next answer to a tick is to be sent.
	quiet, due bool
	// told is the last revision of what was sent: progress never tells of less.
	told kv.Revision
}

// Watch implements pb.WatchServer.
func (s *watchServer) Watch(client pb.Watch_WatchServer) error {
	ctx, cancel := context.WithCancelCause(client.Context())
	defer cancel(nil)
	stream, err := s.api.store.Watch(ctx)
	if err != nil {
		return watchFailure(ctx, err)
	}
	defer stream.Close()
	link := newWatchLink(ctx)
	defer link.close()
	receiver := &watchReceiver{
		api: s.api, client: client, stream: stream, link: link, watches: map[int64]kv.WatchID{},
	}
	// It ends once this function returned: gRPC ends Recv then.
	go func() {
		if err := receiver.run(); err != nil {
			cancel(err)
		}
	}()
	sender := newWatchSender(s.api, client, stream, link)
	defer sender.close()
	return watchFailure(ctx, sender.run())
}

// watchFailure is why a stream ended, as etcd would tell it. That there is no
// leader is for those who need one by their metadata (gate): at this word etcd's
// client gives its watches up for good, while after any other reason it goes on
// elsewhere.
func watchFailure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if errors.Is(err, context.Canceled) || status.Code(err) == codes.Canceled {
		return rpctypes.ErrGRPCWatchCanceled
	}
	if errors.Is(err, kv.ErrNoLeader) || errors.Is(err, kv.ErrNotReady) {
		return rpctypes.ErrGRPCTimeout
	}
	return failure(err)
}

// currentRevision is the revision of the last write that was answered before
// the call, or a later one.
func (a *API) currentRevision(ctx context.Context, key []byte) (kv.Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	resp, err := a.store.Range(ctx, kv.RangeRequest{
		Range: kv.PointRange(key), CountOnly: true,
	})
	return resp.Revision, err
}

// progressIntervalMin is the shortest time between two words of progress.
const progressIntervalMin = 100 * time.Millisecond
