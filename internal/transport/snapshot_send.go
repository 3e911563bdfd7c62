package transport

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// SendSnapshot streams a snapshot to a node, on a connection of its own and
// as fast as the receiver takes it. It returns nil only after the receiver
// confirmed that it took all of it. Otherwise the error tells what stopped
// it: the receiver's text, an error from among the pairs, or ctx. It blocks
// until then; pairs is not used after. Close makes it fail, but can't
// interrupt pairs.
func (t *Transport) SendSnapshot(
	ctx context.Context, to kv.NodeID, header wire.SnapshotHeader, pairs iter.Seq2[Pair, error],
) error {
	p := t.peer(to)
	if p == nil {
		return fmt.Errorf("snapshot of %s: %s is not a peer", header.Shard, to)
	}
	err := t.sendSnapshot(ctx, p, header, pairs)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("snapshot of %s to %s: %w", header.Shard, to, err)
	}
	return nil
}

func (t *Transport) sendSnapshot(
	ctx context.Context, p *peer, header wire.SnapshotHeader, pairs iter.Seq2[Pair, error],
) error {
	c, err := t.connect(ctx, p, wire.ForSnapshot)
	if err != nil {
		return err
	}
	defer t.release(c)
	defer context.AfterFunc(ctx, c.close)()
	var running sync.WaitGroup
	defer running.Wait()
	defer c.close()
	s := &snapshotSender{conn: c, limits: t.opts.Limits, result: make(chan error, 1)}
	running.Go(c.keepAlive)
	running.Go(func() { s.result <- c.readResult() })
	return s.send(header, pairs)
}

// snapshotSender writes one snapshot.
type snapshotSender struct {
	conn   *conn
	limits Limits
	tally  tally
	chunk  []byte
	// result gets what the receiver says, or how the connection failed.
	result chan error
}

// errResult stops a stream because the receiver spoke before its end.
var errResult = errors.New("receiver has answered")

func (s *snapshotSender) send(header wire.SnapshotHeader, pairs iter.Seq2[Pair, error]) error {
	frame := wire.AppendSnapshotHeader(beginFrame(nil), &header)
	if err := s.conn.write(sealFrame(frame, frameSnapshotHeader)); err != nil {
		return <-s.result
	}
	switch err := s.sendPairs(pairs); {
	case err == nil:
	case errors.Is(err, errResult) || !s.conn.alive():
		if err := <-s.result; err != nil {
			return err
		}
		return errors.New("receiver confirmed it before its end")
	default:
		text := err.Error()
		_ = s.conn.write(newFrame(frameSnapshotAbort, text[:min(len(text), refusalBytesMax)]))
		return err
	}
	return <-s.result
}

// sendPairs writes all pairs and the end.
func (s *snapshotSender) sendPairs(pairs iter.Seq2[Pair, error]) error {
	s.chunk = beginFrame(s.chunk)
	for pair, err := range pairs {
		if err != nil {
			return err
		}
		if err := s.add(pair); err != nil {
			return err
		}
	}
	if err := s.flush(); err != nil {
		return err
	}
	return s.conn.write(s.tally.frame())
}

func (s *snapshotSender) add(p Pair) error {
	size := len(p.Key) + len(p.Value) + pairOverheadBytes
	if size > s.limits.FrameBytesMax {
		return fmt.Errorf("pair of %d bytes is over the limit of %d", size, s.limits.FrameBytesMax)
	}
	if len(s.chunk)+size > s.limits.ChunkBytes {
		if err := s.flush(); err != nil {
			return err
		}
	}
	s.chunk = appendPair(s.chunk, p)
	s.tally.add(p)
	return nil
}

// flush writes the chunk, unless the receiver has had enough.
func (s *snapshotSender) flush() error {
	if len(s.result) > 0 {
		return errResult
	}
	if len(s.chunk) > frameHeaderBytes {
		if err := s.conn.write(sealFrame(s.chunk, frameSnapshotChunk)); err != nil {
			return err
		}
	}
	s.chunk = beginFrame(s.chunk)
	return nil
}

// readResult reads the receiver's answer to a snapshot.
func (c *conn) readResult() error {
	kind, payload, err := c.read()
	switch {
	case err != nil:
		return err
	case kind == frameRefusal:
		return refusedByPeer(payload)
	case kind != frameSnapshotResult:
		return errUnexpectedFrame(kind)
	case len(payload) > 0:
		return refusedByPeer(payload)
	}
	return nil
}
