package grpcserver

import (
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// liveness is what is known of whether a client is there, and of how often it asks
// whether this server is.
type liveness struct {
	// heard counts frames.
	heard atomic.Uint64
	// pingedAt is when the client pinged last, strikes how often that was too
	// early. The connection's lock guards both.
	pingedAt time.Time
	strikes  int
}

const (
	// strikesMax is how many early pings are forgiven, as gRPC's servers do.
	strikesMax = 2
	// idleMinTime is how often a client without calls may ping.
	idleMinTime = 2 * time.Hour
)

// watch begins to drain when the server does, pings a client that has been silent,
// and gives up one that stays so, until the connection ends. It never writes itself,
// which could take for ever.
func (c *conn) watch() {
	k := c.server.opts.Keepalive
	timer := time.NewTimer(k.Interval)
	defer timer.Stop()
	seen, asked := uint64(0), false
	draining, patience := c.draining, (<-chan time.Time)(nil)
	for {
		select {
		case <-c.base.Done():
			return
		case <-draining:
			draining, patience = nil, time.After(drainTimeoutMax)
			c.announceDrain()
			continue
		case <-patience:
			c.takeNoMore()
			c.helpers.Go(c.flush)
			continue
		case <-timer.C:
		}
		now := c.liveness.heard.Load()
		switch {
		case now != seen:
			seen, asked = now, false
			timer.Reset(k.Interval)
		case asked:
			c.fail(errors.New("grpcserver: the client does not answer"))
			return
		default:
			asked = true
			c.mu.Lock()
			c.out.ping([8]byte{}, 0)
			c.mu.Unlock()
			c.helpers.Go(c.flush)
			timer.Reset(k.Timeout)
		}
	}
}

// pinged answers a ping, and disconnects a client that pings too often. Clients
// that measure the network ping after what they receive, which is forgiven.
func (c *conn) pinged(data [8]byte, ack bool) error {
	if ack {
		if data == drainPing {
			c.drainHeard()
		}
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.ping(data, http2.FlagPingAck)
	l, now := &c.liveness, time.Now()
	least := c.server.opts.Keepalive.MinTime
	if len(c.streams) == 0 {
		least = idleMinTime
	}
	switch {
	case c.out.sent:
		c.out.sent, l.strikes = false, 0
	case !l.pingedAt.IsZero() && now.Sub(l.pingedAt) < least:
		l.strikes++
	}
	l.pingedAt = now
	if l.strikes > strikesMax {
		return &breach{http2.ErrCodeEnhanceYourCalm, "too_many_pings"}
	}
	return nil
}
