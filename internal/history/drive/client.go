package drive

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/miruvor/miruvor/internal/history"
)

// Client does one thing after the other.
type Client struct {
	History *history.History
	Target  Target
	// ID is no other client's.
	ID  int
	Rng *rand.Rand
	// Pause is the mean time between the beginnings of calls, if they take less, and
	// there is no rush.
	Pause time.Duration

	n    int
	keys []string
	// known is what a key was last seen at.
	known map[string]int64
	lease int64
}

// Run makes calls until ctx ends; the last one is waited for.
func (c *Client) Run(ctx context.Context) {
	c.keys, c.known = Keys(), map[string]int64{}
	tick := time.NewTicker(c.Pause/2 + time.Duration(c.Rng.Int64N(int64(c.Pause))))
	defer tick.Stop()
	for ctx.Err() == nil {
		c.n++
		call := &history.Call{Client: c.ID, Request: c.draw()}
		Issue(context.WithoutCancel(ctx), c.History, c.Target, call)
		c.learn(call)
		beat(ctx, c.History, tick)
	}
}

func (c *Client) key() string { return anyKey(c.Rng) }

// span is a range of some keys, or one key.
func (c *Client) span() (from, to string) {
	if from = c.key(); c.Rng.IntN(2) == 0 {
		return from, ""
	}
	if to = c.key(); to <= from {
		return string(keyFirst), string(keyEnd)
	}
	return from, to
}

// value is one that nobody else writes.
func (c *Client) value() string { return fmt.Sprintf("%d.%d.%d", c.ID, c.n, c.Rng.IntN(1<<30)) }

func one(a history.Action) history.Request {
	return history.Request{Plain: true, Then: []history.Action{a}}
}

func (c *Client) draw() history.Request {
	from, to := c.span()
	switch n := c.Rng.IntN(100); {
	case n < 25:
		a := history.Action{
			Kind: history.Put, From: c.key(), Value: c.value(), PrevKV: c.Rng.IntN(3) == 0,
		}
		if c.Rng.IntN(4) == 0 {
			a.Lease = c.lease
		}
		return one(a)
	case n < 30:
		return one(history.Action{
			Kind: history.Delete, From: c.key(), PrevKV: c.Rng.IntN(2) == 0,
		})
	case n < 32:
		return c.sweep()
	case n < 60:
		return c.read(from, to, n < 40)
	case n < 75:
		return c.swap(c.key())
	case n < 90:
		return c.many()
	case c.lease == 0 || n < 93:
		return history.Request{Kind: history.Grant, TTL: int64(2 + c.Rng.IntN(2))}
	case n < 96:
		return history.Request{Kind: history.Revoke, Lease: c.lease}
	}
	return history.Request{Kind: history.KeepAlive, Lease: c.lease}
}

// sweep deletes what begins with a letter, seldom everything: what hangs on leases
// has to live until they end.
func (c *Client) sweep() history.Request {
	from := keyFirst + c.Rng.IntN(keyEnd-keyFirst)
	a := history.Action{
		Kind: history.Delete, From: string(rune(from)), To: string(rune(from + 1)),
		PrevKV: c.Rng.IntN(2) == 0,
	}
	if c.Rng.IntN(20) == 0 {
		a.From, a.To = string(keyFirst), string(keyEnd)
	}
	return one(a)
}

func (c *Client) read(from, to string, weak bool) history.Request {
	req := one(history.Action{
		Kind: history.Get, From: from, To: to, Limit: int64(c.Rng.IntN(4)),
	})
	req.Weak = weak
	if seen := c.History.Seen(); c.Rng.IntN(4) == 0 && seen > 1 {
		back := 100
		if c.Rng.IntN(3) == 0 {
			back = 500 // most of which is forgotten
		}
		req.At = max(1, seen-int64(c.Rng.IntN(back)))
	}
	return req
}

// swap replaces a key if it is what it was.
func (c *Client) swap(key string) history.Request {
	a := history.Action{Kind: history.Put, From: key, Value: c.value()}
	if c.Rng.IntN(5) == 0 {
		a = history.Action{Kind: history.Delete, From: key}
	}
	return history.Request{
		Ifs:  []history.Compare{{Key: key, Mod: c.known[key]}},
		Then: []history.Action{a},
		Else: []history.Action{{Kind: history.Get, From: key}},
	}
}

// many is a transaction over several keys.
func (c *Client) many() history.Request {
	var req history.Request
	keys := map[string]bool{}
	for len(keys) < 2+c.Rng.IntN(3) {
		keys[c.key()] = true
	}
	first := true
	for _, key := range c.keys {
		if !keys[key] {
			continue
		}
		if first && c.Rng.IntN(2) == 0 {
			req.Ifs = append(req.Ifs, history.Compare{Key: key, Mod: c.known[key]})
		}
		first = false
		req.Else = append(req.Else, history.Action{Kind: history.Get, From: key})
		if c.Rng.IntN(5) == 0 {
			req.Then = append(req.Then, history.Action{
				Kind: history.Delete, From: key, PrevKV: true,
			})
			continue
		}
		a := history.Action{Kind: history.Put, From: key, Value: c.value()}
		if c.Rng.IntN(6) == 0 {
			a.Lease = c.lease
		}
		req.Then = append(req.Then, a)
	}
	if c.Rng.IntN(3) == 0 {
		req.Then = append(req.Then, history.Action{
			Kind: history.Get, From: string(keyFirst), To: string(keyEnd),
		})
	}
	return req
}

// learn keeps what the next requests are made of.
func (c *Client) learn(call *history.Call) {
	answered := call.Outcome == history.Answered
	switch {
	case call.Kind == history.Grant && answered:
		c.lease = call.Lease
	case call.Kind == history.Revoke, call.Kind == history.KeepAlive && !answered,
		call.Kind == history.Txn && call.Outcome == history.Refused:
		c.lease = 0
	}
	if !answered || call.Kind != history.Txn {
		return
	}
	actions := call.Branch()
	for i, p := range call.Parts {
		if actions[i].Kind == history.Put {
			c.known[actions[i].From] = call.Revision
		}
		if actions[i].Kind != history.Get {
			continue
		}
		if len(p.Pairs) == 0 {
			c.known[actions[i].From] = 0
		}
		for _, pair := range p.Pairs {
			c.known[pair.Key] = pair.Mod
		}
	}
}
