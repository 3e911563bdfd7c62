package etcdimport

import (
	"context"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/miruvor/miruvor/internal/kv"
)

// change is all that happened at one revision of the source, each key once.
type change struct {
	revision kv.Revision
	ops      []kv.Op
	bytes    int
}

// told is what a watch has to tell.
type told struct {
	changes []change
	// watermark is a revision up to which everything was told before, 0 if this is
	// none.
	watermark kv.Revision
}

// watch is one stream of the source. It is read no faster than next is called:
// etcd's own watcher would gather without bound what the target cannot take yet.
type watch struct {
	stream pb.Watch_WatchClient
	cancel context.CancelFunc
	told   chan told
	// err is why told was closed.
	err error
	// open is the revision that is being received: its next fragment may follow.
	open *assembly
}

// toldMax is how many responses wait.
const toldMax = 16

// startWatch watches the source from a revision on. The caller stops the watch.
func (s *source) startWatch(ctx context.Context, from kv.Revision) (*watch, error) {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	w := &watch{cancel: cancel, told: make(chan told, toldMax)}
	var err error
	w.stream, err = pb.NewWatchClient(s.client.ActiveConnection()).Watch(ctx)
	if err == nil {
		key, end := bounds(s.keys)
		err = w.stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{
			CreateRequest: &pb.WatchCreateRequest{
				Key: []byte(key), RangeEnd: []byte(end), StartRevision: int64(from),
				ProgressNotify: true, Fragment: true,
			},
		}})
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("watch the source: %w", err)
	}
	go func() {
		defer close(w.told)
		w.err = w.receive(ctx)
	}()
	return w, nil
}

// stop ends the watch and waits for that.
func (w *watch) stop() {
	w.cancel()
	for range w.told { //nolint:revive // what is left is told again from the mark on
	}
}

// askProgress asks for a watermark. Where it fails, receiving does as well.
func (w *watch) askProgress() {
	_ = w.stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{
		ProgressRequest: &pb.WatchProgressRequest{},
	}})
}

func (w *watch) receive(ctx context.Context) error {
	for {
		resp, err := w.stream.Recv()
		if err != nil {
			return fmt.Errorf("watch the source: %w", err)
		}
		if resp.Canceled {
			return canceled(resp)
		}
		news := w.read(resp)
		if news.watermark == 0 && len(news.changes) == 0 {
			continue
		}
		select {
		case w.told <- news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func canceled(resp *pb.WatchResponse) error {
	if resp.CompactRevision != 0 {
		return fmt.Errorf("%w: the oldest left is revision %d", errSourceCompacted,
			resp.CompactRevision)
	}
	return fmt.Errorf("the source ended the watch: %s", resp.CancelReason)
}

// read takes a response apart. The last revision of a fragment is kept back until
// it is known to be whole.
func (w *watch) read(resp *pb.WatchResponse) told {
	var news told
	for _, e := range resp.Events {
		at := kv.Revision(e.Kv.ModRevision)
		if w.open != nil && w.open.revision != at {
			news.changes = append(news.changes, w.open.change())
			w.open = nil
		}
		if w.open == nil {
			w.open = &assembly{revision: at, at: map[string]int{}}
		}
		w.open.add(e)
	}
	if !resp.Fragment && w.open != nil {
		news.changes = append(news.changes, w.open.change())
		w.open = nil
	}
	if len(resp.Events) == 0 && !resp.Created {
		news.watermark = kv.Revision(resp.Header.Revision)
	}
	return news
}

// assembly puts the events of a revision together.
type assembly struct {
	revision kv.Revision
	ops      []kv.Op
	// at is where in ops a key is: of two events of a key the later one counts.
	at map[string]int
}

func (a *assembly) add(e *mvccpb.Event) {
	if isMark(e.Kv.Key) {
		return
	}
	var b batch
	if e.Type == mvccpb.Event_DELETE {
		b.delete(e.Kv.Key)
	} else {
		k := keyValue(e.Kv)
		b.put(&k)
	}
	if i, ok := a.at[string(e.Kv.Key)]; ok {
		a.ops[i] = b.ops[0]
		return
	}
	a.at[string(e.Kv.Key)] = len(a.ops)
	a.ops = append(a.ops, b.ops[0])
}

func (a *assembly) change() change {
	c := change{revision: a.revision, ops: a.ops}
	for _, op := range a.ops {
		c.bytes += opBytes(op)
	}
	return c
}
