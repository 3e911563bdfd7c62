package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/miruvor/miruvor/bench/h2"
)

// watchStream is a connection's part. Its fields are those of the goroutine that reads there.
type watchStream struct {
	fanout  *fanout
	conn    *h2.Conn
	id      h2.StreamID
	heard   []uint64 // by watch id: the last put
	answer  watchAnswer
	latency Histogram
}

func (l *Lean) runWatch(w *Workload, s *Shape, window Window) (*Result, error) {
	f := newFanout(w)
	if err := l.watch(f); err != nil {
		return nil, err
	}
	writer := l.client(0, 1, s, f.run, f.next)
	writer.then = f.acknowledged
	f.put = writer.ask
	result, err := f.measure(window)
	if err != nil {
		return nil, err
	}
	for _, stream := range f.streams {
		if err := stream.conn.Cancel(stream.id); err != nil {
			return nil, err
		}
	}
	return result, nil
}

// watch opens all watchers and waits until they are there.
func (l *Lean) watch(f *fanout) error {
	for i, conn := range l.conns {
		count := (f.workload.Watchers + i) / len(l.conns)
		stream := &watchStream{fanout: f, conn: conn, heard: make([]uint64, count)}
		f.streams = append(f.streams, stream)
		if err := stream.open(); err != nil {
			return err
		}
	}
	return f.awaitCreated()
}

func (s *watchStream) open() error {
	for i := range s.heard {
		create := encodeWatch(watchedKey, watchedEnd, int64(i+1))
		if i > 0 {
			if err := s.conn.Send(s.id, create, false); err != nil {
				return err
			}
			continue
		}
		id, err := s.conn.Start(methodWatch, create, false, s)
		if err != nil {
			return err
		}
		s.id = id
	}
	return s.conn.Flush()
}

// watchAnswer is what is looked at of a WatchResponse.
type watchAnswer struct {
	watchID  int64
	created  bool
	canceled bool
	events   [][]byte // to the next answer
}

func (a *watchAnswer) decode(in []byte) error {
	*a = watchAnswer{events: a.events[:0]}
	for len(in) > 0 {
		number, value, content, rest, err := field(in)
		if err != nil {
			return err
		}
		in = rest
		switch number {
		case 2:
			a.watchID = int64(value)
		case 3:
			a.created = value != 0
		case 4:
			a.canceled = value != 0
		case 11:
			a.events = append(a.events, content)
		}
	}
	return nil
}

// sequenceOf is the number of the put that an event tells of.
func sequenceOf(event []byte) (uint64, error) {
	pair, err := bytesOf(event, 2)
	if err != nil {
		return 0, err
	}
	value, err := bytesOf(pair, 5)
	if err != nil {
		return 0, err
	}
	if len(value) < sequenceBytes {
		return 0, errors.New("load: an event that no put made")
	}
	return binary.BigEndian.Uint64(value), nil
}

// Message takes what watchers of the stream hear.
func (s *watchStream) Message(message []byte) {
	if err := s.hear(message); err != nil {
		s.fanout.run.fail(err)
	}
}

// Done is the end of the stream before it was canceled.
func (s *watchStream) Done(err error) {
	s.fanout.run.fail(fmt.Errorf("load: watch ended: %w", errors.Join(errEnded, err)))
}

var errEnded = errors.New("stream closed")

func (s *watchStream) hear(message []byte) error {
	a := &s.answer
	if err := a.decode(message); err != nil {
		return err
	}
	if a.canceled || a.watchID < 1 || a.watchID > int64(len(s.heard)) {
		return fmt.Errorf("load: answer to watcher %d, canceled: %v", a.watchID, a.canceled)
	}
	if a.created {
		s.fanout.created.Done()
	}
	now := time.Since(s.fanout.start)
	for _, event := range a.events {
		number, err := sequenceOf(event)
		if err != nil {
			return err
		}
		if err := s.deliver(a.watchID, number, now); err != nil {
			return err
		}
	}
	return nil
}
