package transport

import (
	"errors"
	"fmt"
	"io"

	"github.com/miruvor/miruvor/internal/wire"
)

// receiveSnapshot takes in one snapshot and tells the sender what came of it.
func (t *Transport) receiveSnapshot(c *conn, from *peer) {
	text := ""
	if err := t.takeSnapshot(c, from); err != nil {
		text = err.Error()
	}
	err := c.write(newFrame(frameSnapshotResult, text[:min(len(text), refusalBytesMax)]))
	// The sender may be in the middle of writing. Closing now could take the
	// result away from it: let it read, and hang up.
	defer c.within(t.opts.Timing.Dead)()
	if err == nil {
		_, _ = io.Copy(io.Discard, c.in) // until it does, or time is up
	}
}

func (t *Transport) takeSnapshot(c *conn, from *peer) error {
	select {
	case t.snapshots <- struct{}{}:
		defer func() { <-t.snapshots }()
	default:
		return fmt.Errorf("%s receives %d snapshots, the most at a time",
			t.opts.Self.ID, cap(t.snapshots))
	}
	kind, payload, err := c.read()
	if err != nil {
		return err
	}
	if kind != frameSnapshotHeader {
		return errUnexpectedFrame(kind)
	}
	header, err := wire.DecodeSnapshotHeader(payload)
	if err != nil {
		return fmt.Errorf("header: %w", err)
	}
	s := snapshotReceiver{conn: c}
	if err := t.opts.Handler.Snapshot(from.id, header, s.all); err != nil {
		return err
	}
	if !s.complete {
		return errors.New("receiver stopped before the end")
	}
	return nil
}

// snapshotReceiver reads one snapshot's pairs.
type snapshotReceiver struct {
	conn  *conn
	tally tally
	used  bool
	// complete is set when the stream was read to its proper end.
	complete bool
}

// all is the stream of pairs, an iter.Seq2 that can be used once.
func (s *snapshotReceiver) all(yield func(Pair, error) bool) {
	if s.used {
		yield(Pair{}, errors.New("pairs of a snapshot can be read only once"))
		return
	}
	s.used = true
	for !s.complete {
		chunk, err := s.next()
		if err != nil {
			yield(Pair{}, err)
			return
		}
		if !s.each(chunk, yield) {
			return
		}
	}
}

// next reads a chunk. At the end it is empty and complete is set.
func (s *snapshotReceiver) next() ([]byte, error) {
	kind, payload, err := s.conn.read()
	switch {
	case err != nil:
		return nil, err
	case kind == frameSnapshotChunk:
		return payload, nil
	case kind == frameSnapshotAbort:
		return nil, fmt.Errorf("sender gave up: %s", payload[:min(len(payload), refusalBytesMax)])
	case kind != frameSnapshotEnd:
		return nil, errUnexpectedFrame(kind)
	case !s.tally.matches(payload):
		return nil, fmt.Errorf("end does not match the %d pairs received", s.tally.pairs)
	}
	s.complete = true
	return nil, nil
}

// each yields the pairs of a chunk, and reports whether there is more to do.
func (s *snapshotReceiver) each(chunk []byte, yield func(Pair, error) bool) bool {
	for len(chunk) > 0 {
		pair, rest, err := cutPair(chunk)
		if err != nil {
			yield(Pair{}, err)
			return false
		}
		s.tally.add(pair)
		if !yield(pair, nil) {
			return false
		}
		chunk = rest
	}
	return true
}
