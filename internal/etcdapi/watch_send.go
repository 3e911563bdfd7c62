package etcdapi

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/miruvor/miruvor/internal/kv"
)

// watchSender sends all that a stream has to tell.
type watchSender struct {
	api    *API
	client pb.Watch_WatchServer
	stream kv.WatchStream
	link   *watchLink
	// watches were told to have begun, and have not ended; last is the highest
	// of them ever.
	watches map[kv.WatchID]*watch
	last    kv.WatchID

	// questions are those that the store has not answered.
	questions []question
	ticker    watchTicker
	// resp is the response at hand.
	resp kv.WatchResponse
	out  outbox
}

func newWatchSender(
	api *API, client pb.Watch_WatchServer, stream kv.WatchStream, link *watchLink,
) *watchSender {
	s := &watchSender{
		api: api, client: client, stream: stream, link: link,
		watches: map[kv.WatchID]*watch{}, out: outbox{client: client},
	}
	s.ticker.ring = link.ring
	return s
}

func (s *watchSender) close() { s.ticker.stop() }

// run sends until the stream ends, and returns why.
func (s *watchSender) run() error {
	wait := s.link.arm()
	for {
		if wait.Err() != nil {
			wait = s.link.arm()
		}
		err := s.heed()
		if err == nil {
			err = s.out.flush()
		}
		if err != nil {
			return err
		}
		s.resp, err = s.stream.Next(wait)
		switch {
		case err == nil:
			err = s.tellAll()
		case wait.Err() != nil && s.link.ctx.Err() == nil:
			continue // somebody rang
		}
		if err != nil {
			return err
		}
	}
}

// tellMax is how many responses are sent before notices are looked at: to a client
// that is slower than what happens there is always another.
const tellMax = 4 * outboxMessagesMax

// tellAll sends the response at hand, and those that came with it.
func (s *watchSender) tellAll() error {
	for range tellMax {
		if err := s.tell(&s.resp); err != nil {
			return err
		}
		if len(s.watches) == 1 {
			return nil // there rarely is another
		}
		var err error
		if s.resp, err = s.stream.Next(ended); err != nil {
			return nil // if it is not for ended it comes again
		}
	}
	return s.tell(&s.resp)
}

// ended is a context to look with for what is there.
var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// heed does what waits to be done before the next response.
func (s *watchSender) heed() error {
	for {
		select {
		case n := <-s.link.notices:
			if err := s.take(n); err != nil {
				return err
			}
		default:
			if s.ticker.ticked() {
				s.tick()
			}
			return nil
		}
	}
}

// take does what a notice says.
func (s *watchSender) take(n notice) error {
	if n.progress {
		s.ask(true)
		return nil
	}
	delete(s.watches, n.ended)
	if err := s.out.put(n.reply); err != nil {
		return err
	}
	if w := n.begun; w != nil {
		s.watches[w.inner] = w
		s.last = max(s.last, w.inner)
		if w.notify {
			s.ticker.start(s.api.progress)
		}
	}
	return nil
}

// tell sends what the store has to tell.
func (s *watchSender) tell(resp *kv.WatchResponse) error {
	if resp.ID == 0 {
		return s.answer(resp.Revision)
	}
	w, err := s.await(resp.ID)
	switch {
	case err != nil || w == nil:
		return err
	case resp.Compacted != 0:
		delete(s.watches, resp.ID)
		return s.out.put(&pb.WatchResponse{
			Header: s.api.header(0), WatchId: w.id, Canceled: true,
			CompactRevision: int64(resp.Compacted),
		})
	case len(resp.Events) == 0:
		return nil
	}
	w.quiet, w.told = false, max(w.told, resp.Revision)
	return s.sendEvents(w, resp)
}

// await is the watch of an id, nil if it has ended. If the store was faster
// than the receiver, who has yet to tell that the watch has begun, it waits.
func (s *watchSender) await(id kv.WatchID) (*watch, error) {
	for id > s.last {
		if err := s.out.flush(); err != nil {
			return nil, err
		}
		select {
		case n := <-s.link.notices:
			if err := s.take(n); err != nil {
				return nil, err
			}
		case <-s.link.ctx.Done():
			return nil, context.Cause(s.link.ctx)
		}
	}
	return s.watches[id], nil
}

// sendEvents sends events, in parts if they are long and the client can put
// them together.
func (s *watchSender) sendEvents(w *watch, resp *kv.WatchResponse) error {
	encoded := s.api.events.encode(resp.Events)
	m := eventsMessage{
		standing: s.api.maint.Standing(), revision: resp.Revision, id: w.id, events: encoded.bytes,
	}
	if !w.fragment {
		return s.out.putEvents(m)
	}
	for part := range m.fragments(resp.Events, s.api.fragmentBytes()) {
		if err := s.out.putEvents(part); err != nil {
			return err
		}
	}
	return nil
}

// fragmentBytes is the size that a response does not reach if it can be cut.
func (a *API) fragmentBytes() int { return a.limits.RequestBytesMax + messageOverheadBytes }
