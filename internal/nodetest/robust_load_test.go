package nodetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// driver is a client that does one thing after the other.
type driver struct {
	r      *robust
	client *clientv3.Client
	id, n  int
	rng    *rand.Rand
	// known is what a key was last seen at.
	known map[string]int64
	lease int64
}

// drive puts load on the cluster until ctx ends. Half of the clients keep to
// one node.
func (r *robust) drive(ctx context.Context, id int) {
	d := &driver{r: r, id: id, rng: r.rand(id), known: map[string]int64{}}
	if d.client = r.client(); id%2 == 0 {
		d.client = r.client(id / 2)
	}
	tick := time.NewTicker(time.Duration(4+d.rng.IntN(8)) * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		d.n++
		c := &call{client: id, request: d.draw()}
		r.issue(context.WithoutCancel(ctx), c, d.client)
		d.learn(c)
		pause(ctx, tick)
	}
}

func (d *driver) key() string { return d.r.keys[d.rng.IntN(len(d.r.keys))] }

// span is a range of some keys, or one key.
func (d *driver) span() (from, to string) {
	if from = d.key(); d.rng.IntN(2) == 0 {
		return from, ""
	}
	if to = d.key(); to <= from {
		return "a", "i"
	}
	return from, to
}

func (d *driver) value() string { return fmt.Sprintf("%d.%d.%d", d.id, d.n, d.rng.IntN(1<<30)) }

func (d *driver) one(a action) request { return request{plain: true, then: []action{a}} }

func (d *driver) draw() request {
	from, to := d.span()
	switch n := d.rng.IntN(100); {
	case n < 25:
		a := action{kind: kindPut, from: d.key(), value: d.value(), prevKV: d.rng.IntN(3) == 0}
		if d.rng.IntN(4) == 0 {
			a.lease = d.lease
		}
		return d.one(a)
	case n < 30:
		return d.one(action{kind: kindDelete, from: d.key(), prevKV: d.rng.IntN(2) == 0})
	case n < 32:
		return d.one(action{kind: kindDelete, from: from, to: to, prevKV: d.rng.IntN(2) == 0})
	case n < 60:
		req := d.one(action{kind: kindGet, from: from, to: to, limit: int64(d.rng.IntN(4))})
		req.weak = n < 40
		if seen := d.r.seen.Load(); d.rng.IntN(4) == 0 && seen > 1 {
			req.revision = max(1, seen-int64(d.rng.IntN(100)))
		}
		return req
	case n < 75:
		return d.swap(d.key())
	case n < 90:
		return d.many()
	case d.lease == 0 || n < 93:
		return request{kind: kindGrant, ttl: int64(2 + d.rng.IntN(2))}
	case n < 96:
		return request{kind: kindRevoke, lease: d.lease}
	}
	return request{kind: kindKeepAlive, lease: d.lease}
}

// swap replaces a key if it is what it was.
func (d *driver) swap(key string) request {
	a := action{kind: kindPut, from: key, value: d.value()}
	if d.rng.IntN(5) == 0 {
		a = action{kind: kindDelete, from: key}
	}
	return request{
		ifs: []compare{{key, d.known[key]}}, then: []action{a},
		els: []action{{kind: kindGet, from: key}},
	}
}

// many is a transaction over several keys.
func (d *driver) many() request {
	var req request
	keys := map[string]bool{}
	for len(keys) < 2+d.rng.IntN(3) {
		keys[d.key()] = true
	}
	first := true
	for _, key := range d.r.keys {
		if !keys[key] {
			continue
		}
		if first && d.rng.IntN(2) == 0 {
			req.ifs = append(req.ifs, compare{key, d.known[key]})
		}
		first = false
		req.els = append(req.els, action{kind: kindGet, from: key})
		if d.rng.IntN(5) == 0 {
			req.then = append(req.then, action{kind: kindDelete, from: key, prevKV: true})
			continue
		}
		a := action{kind: kindPut, from: key, value: d.value()}
		if d.rng.IntN(6) == 0 {
			a.lease = d.lease
		}
		req.then = append(req.then, a)
	}
	if d.rng.IntN(3) == 0 {
		req.then = append(req.then, action{kind: kindGet, from: "a", to: "i"})
	}
	return req
}

// learn keeps what the next requests are made of.
func (d *driver) learn(c *call) {
	switch {
	case c.kind == kindGrant && c.err == nil:
		d.lease = c.lease
	case c.kind == kindRevoke, c.kind == kindKeepAlive && c.err != nil,
		c.kind == kindTxn && c.refused():
		d.lease = 0
	case c.err != nil || c.kind != kindTxn:
		return
	}
	actions := c.then
	if !c.succeeded {
		actions = c.els
	}
	for i, p := range c.parts {
		if actions[i].kind == kindPut {
			d.known[actions[i].from] = c.revision
		}
		if actions[i].kind != kindGet {
			continue
		}
		if len(p.pairs) == 0 {
			d.known[actions[i].from] = 0
		}
		for _, pair := range p.pairs {
			d.known[pair.key] = pair.mod
		}
	}
}
