package grpcserver

import (
	"math"
	"time"

	"golang.org/x/net/http2"
)

// A connection that drains tells its client first to begin no more calls, and
// refuses calls when the client has heard that, or after drainTimeoutMax. So none is
// refused that the client could not know of. When the last call has ended and all
// is written, it closes its side, and waits for the client's.
const (
	drainTimeoutMax = 5 * time.Second
	// partTimeoutMax is how long the last of what is written may take, and
	// lingerTimeoutMax how long the client then has to close.
	partTimeoutMax   = 5 * time.Second
	lingerTimeoutMax = time.Second
)

// drainPing asks whether the client has heard that it drains.
var drainPing = [8]byte{'d', 'r', 'a', 'i', 'n'}

// drain has the connection end when its calls have.
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.draining:
	default:
		close(c.draining)
	}
}

// announceDrain begins to drain.
func (c *conn) announceDrain() {
	c.mu.Lock()
	if !c.final {
		c.out.goAway(math.MaxInt32, http2.ErrCodeNo, "")
		c.out.ping(drainPing, 0)
	}
	c.mu.Unlock()
	c.helpers.Go(c.flush)
}

// drainHeard follows the answer to the ping of announceDrain.
func (c *conn) drainHeard() {
	select {
	case <-c.draining:
		c.takeNoMore()
	default: // the client makes it up
	}
}

// takeNoMore takes no more streams; the connection ends when those under way have.
// It does not flush.
func (c *conn) takeNoMore() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.final {
		return
	}
	c.final = true
	c.out.goAway(c.lastID, http2.ErrCodeNo, "")
	c.partLocked()
}

// partLocked notes that the connection ends when everything is written, if nothing
// is left to be done. c.mu is held.
func (c *conn) partLocked() {
	if !c.final || len(c.streams) > 0 || c.out.last {
		return
	}
	c.out.last = true
	_ = c.net.SetWriteDeadline(time.Now().Add(partTimeoutMax))
}

// hangUp closes this side of the connection, of which everything is written. The
// reader goes on for a while.
func (c *conn) hangUp() {
	if w, ok := c.net.(interface{ CloseWrite() error }); ok {
		_ = w.CloseWrite()
	}
	_ = c.net.SetReadDeadline(time.Now().Add(lingerTimeoutMax))
}
