package load

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

func (s *Standard) runWatch(w *Workload, shape *Shape, window Window) (*Result, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	f := newFanout(w)
	for i := range w.Watchers {
		stream := &watchStream{fanout: f, heard: make([]uint64, 1)}
		f.streams = append(f.streams, stream)
		go stream.receive(ctx, s.clients[i%len(s.clients)])
	}
	if err := f.awaitCreated(); err != nil {
		return nil, err
	}
	turn := make(chan struct{}, 1)
	f.put = func() { turn <- struct{}{} }
	go s.client(0, shape, f.run, f.next).write(ctx, turn, f)
	return f.measure(window)
}

// write puts once for each turn.
func (c *standardClient) write(ctx context.Context, turn <-chan struct{}, f *fanout) {
	var request Request
	var answer Answer
	for {
		select {
		case <-ctx.Done():
			return
		case <-turn:
		}
		c.next(c.chance, &request)
		if err := c.call(&request, &answer); err != nil {
			f.run.fail(err)
			return
		}
		f.acknowledged()
	}
}

// receive is one watcher.
func (s *watchStream) receive(ctx context.Context, client *clientv3.Client) {
	end := clientv3.WithRange(string(watchedEnd))
	for r := range client.Watch(ctx, string(watchedKey), end, clientv3.WithCreatedNotify()) {
		if err := s.take(&r); err != nil && ctx.Err() == nil {
			s.fanout.run.fail(err)
			return
		}
	}
	if ctx.Err() == nil {
		s.fanout.run.fail(fmt.Errorf("load: watch: %w", errEnded))
	}
}

func (s *watchStream) take(r *clientv3.WatchResponse) error {
	if err := r.Err(); err != nil {
		return err
	}
	if r.Created {
		s.fanout.created.Done()
	}
	now := time.Since(s.fanout.start)
	for _, event := range r.Events {
		if len(event.Kv.Value) < sequenceBytes {
			return errors.New("load: an event that no put made")
		}
		if err := s.deliver(1, binary.BigEndian.Uint64(event.Kv.Value), now); err != nil {
			return err
		}
	}
	return nil
}
