package oracle

import (
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// pipelineMax is how many requests a client keeps under way. With one, a
// newcomer would wait up to two round trips instead of one.
const pipelineMax = 2

// requestMax bounds the revisions of one request, far below what the oracle
// refuses; what is over waits for the next.
const requestMax = 50_000

// Demand is what one party needs: count revisions, or with count 0 the last
// one handed out. Granted tells it base, as wire.OracleResponse describes it; Lost
// tells that no answer will come and that it may ask again.
type Demand struct {
	Count   uint32
	Granted func(now wire.Instant, base kv.Revision)
	Lost    func(now wire.Instant)
}

type request struct {
	id      uint64
	sent    wire.Instant
	demands []Demand
}

// Client gathers demands and turns them into few requests. Its zero value is
// ready to use.
type Client struct {
	waiting []Demand
	pending []request
}

// Add queues a demand for the next request. A demand must be added after the
// client request that it serves has arrived: that is what makes a revision
// later than every answer given before.
func (c *Client) Add(d Demand) { c.waiting = append(c.waiting, d) }

// Room reports whether a request could be sent now. Demands that come later
// are better gathered later.
func (c *Client) Room() bool { return len(c.pending) < pipelineMax }

// Next returns the size of the next request to send, if there is anything to
// ask and the pipeline has room. The caller sends it and calls Sent.
func (c *Client) Next() (count uint32, ok bool) {
	if len(c.waiting) == 0 || !c.Room() {
		return 0, false
	}
	_, count = c.fit()
	return count, true
}

// fit is how many demands go into one request, the first always, and what they
// add up to.
func (c *Client) fit() (n int, count uint32) {
	for n < len(c.waiting) && (n == 0 || count+c.waiting[n].Count <= requestMax) {
		count += c.waiting[n].Count
		n++
	}
	return n, count
}

// Sent records that what Next counted went out as the request id.
func (c *Client) Sent(id uint64, now wire.Instant) {
	n, _ := c.fit()
	c.pending = append(c.pending, request{id: id, sent: now, demands: c.waiting[:n:n]})
	c.waiting = c.waiting[n:]
}

// Answer hands the revisions of a response out, in the order of the demands.
// It ignores answers to requests that were given up.
func (c *Client) Answer(now wire.Instant, id uint64, base kv.Revision) {
	for _, d := range c.remove(id) {
		d.Granted(now, base)
		base += kv.Revision(d.Count)
	}
}

// Fail gives a request up.
func (c *Client) Fail(now wire.Instant, id uint64) {
	for _, d := range c.remove(id) {
		d.Lost(now)
	}
}

// Pending reports whether an answer to the request id is waited for.
func (c *Client) Pending(id uint64) bool {
	return slices.ContainsFunc(c.pending, func(r request) bool { return r.id == id })
}

// Expire gives up the requests that were sent more than a while before now, and
// reports how many.
func (c *Client) Expire(now, while wire.Instant) int {
	n := 0
	for len(c.pending) > 0 && c.pending[0].sent < now-while {
		c.Fail(now, c.pending[0].id)
		n++
	}
	return n
}

func (c *Client) remove(id uint64) []Demand {
	for i, r := range c.pending {
		if r.id == id {
			c.pending = append(c.pending[:i:i], c.pending[i+1:]...)
			return r.demands
		}
	}
	return nil
}
