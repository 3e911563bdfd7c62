package worker

import (
	"fmt"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/oracle"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/wire"
)

// call is a client's request until it is answered.
type call struct {
	req Request
	// bytes are those of its transaction.
	bytes int
	legs  []*leg
	// at is the revision that all legs of a range over several shards read
	// at; 0 while each may choose.
	at   kv.Revision
	done bool
	// then takes the reply if the worker asked itself, nil for a client's call.
	then func(wire.Instant, Reply)
	// lease is what the system shard told of the lease whose keys are asked for.
	lease *wire.LeaseResponse
	// againAt is when a range begins anew whose revision was compacted before
	// all shards had read at it; 0 for not at all.
	againAt wire.Instant
	// cross is the state of a transaction over several shards.
	cross *crossing
	// plan is what is left to visit of a range that is read shard by shard.
	plan *walk
}

// calls are those that are not answered yet.
type calls struct {
	// open are the legs that an answer may come for, by request id.
	open map[uint64]*leg
	// list holds the calls in the order of their arrival; done ones are swept
	// out from time to time.
	list []*call
	live int
	// bytes are those of the live transactions.
	bytes int
	seq   uint64
	// crossed counts the transactions over several shards, crossedAgain their
	// tries but for the first.
	crossed, crossedAgain int64
	// asks are the requests of replicas under way.
	asks asks
	// own are the replies to the worker itself.
	own []ownReply
}

// nextID names a request of this worker.
func (w *Worker) nextID() uint64 {
	w.calls.seq++
	return uint64(w.cfg.Place.Index)<<56 | w.calls.seq
}

// firstID is where the ids of a worker that begins at now begin. Answers to an
// earlier life of the node may still arrive, and must not be taken for answers
// to this one: each life has its own part of 2^55 ids (a step of splitmix64).
func firstID(now wire.Instant) uint64 {
	z := uint64(now) + 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return (z ^ z>>31) >> 9
}

// Submit takes a client's request. Its Reply comes out of a pass.
func (w *Worker) Submit(now wire.Instant, req Request) {
	c := &call{req: req}
	if req.Txn != nil {
		c.bytes = req.Txn.Size()
	}
	if w.calls.live >= callsMax || w.calls.bytes+c.bytes > callsBytesMax {
		w.reply(c, Reply{Err: fmt.Errorf("%w: %d wait already, with %d bytes",
			kv.ErrTooManyRequests, w.calls.live, w.calls.bytes)})
		return
	}
	w.calls.live++
	w.calls.bytes += c.bytes
	w.calls.list = append(w.calls.list, c)
	w.route(now, c)
}

// route begins with a call, or begins anew.
func (w *Worker) route(now wire.Instant, c *call) {
	switch req := &c.req; {
	case req.Txn != nil:
		w.routeTxn(now, c)
	case req.Compact != nil:
		w.startUpkeep(now, c, wire.Upkeep{Compact: req.Compact})
	case req.Alarm != nil:
		w.startUpkeep(now, c, wire.Upkeep{Alarm: req.Alarm})
	case req.Lease != nil:
		w.start(now, c, w.leaseLeg(kv.SystemShard, req.Lease))
	default:
		w.routeRange(now, c)
	}
}

// startUpkeep asks the system shard.
func (w *Worker) startUpkeep(now wire.Instant, c *call, up wire.Upkeep) {
	w.start(now, c, &leg{shard: kv.SystemShard, req: wire.Request{Upkeep: up}})
}

// routeTxn sends a transaction to the shard that holds its keys, or has it
// coordinated here if there are several.
func (w *Worker) routeTxn(now wire.Instant, c *call) {
	var shard *placement.Shard
	for _, span := range mvcc.Spans(c.req.Txn) {
		over := w.shards.Overlapping(span)
		if len(over) == 0 {
			continue // an empty range lies anywhere
		}
		if shard == nil {
			shard = &over[0]
		}
		if last := &over[len(over)-1]; len(over) > 1 || last.ID != shard.ID {
			w.cross(now, c)
			return
		}
	}
	if shard == nil {
		shard = &w.shards.Shards[0]
	}
	w.start(now, c, &leg{
		shard: shard.ID, key: shard.Range.Start, req: wire.Request{Txn: c.req.Txn},
	})
}

// routeRange sends a range to its shards. Over several shards all read at one
// revision, taken after the request arrived.
func (w *Worker) routeRange(now wire.Instant, c *call) {
	req := c.req.Range
	over := w.shards.Overlapping(req.Range)
	if len(over) == 0 { // an empty range lies anywhere, and is read at a revision too
		over = []placement.Shard{*w.shards.Locate(req.Start)}
	}
	switch {
	case len(over) == 1:
		w.start(now, c, &leg{
			shard: over[0].ID, key: req.Start, req: wire.Request{Range: w.part(c, over[0])},
		})
	case req.Serializable:
		w.walk(now, c, over)
	default:
		w.takeRevision(c, over)
	}
}

// takeRevision asks the oracle for the revision that all parts are read at.
func (w *Worker) takeRevision(c *call, over []placement.Shard) {
	w.demands.client.Add(oracle.Demand{
		Granted: func(now wire.Instant, base kv.Revision) {
			if !c.done {
				c.at = base - 1
				w.walk(now, c, over)
			}
		},
		Lost: func(wire.Instant) {
			if !c.done {
				w.takeRevision(c, over)
			}
		},
	})
}

// readAgain has a range that names no revision begin anew, if the one that was
// taken for it is compacted. It reports whether it does.
func (w *Worker) readAgain(now wire.Instant, l *leg, resp *wire.Response) bool {
	c := l.call
	if resp.Code != wire.CodeCompacted || l.req.Range == nil || c.req.Range.Revision != 0 {
		return false
	}
	for _, l := range c.legs {
		delete(w.calls.open, l.id)
	}
	c.legs, c.plan, c.at, c.againAt = nil, nil, 0, now+retryMin
	return true
}

// readOnLeaders has a serializable range read by leaders, if the revision that it
// names is not complete yet where it was asked. It reports whether it does.
func (w *Worker) readOnLeaders(now wire.Instant, l *leg, resp *wire.Response) bool {
	c := l.call
	if resp.Code != wire.CodeFutureRevision || !l.serializable() {
		return false
	}
	for _, l := range c.legs {
		delete(w.calls.open, l.id)
	}
	req := *c.req.Range
	req.Serializable = false
	c.req.Range, c.legs, c.plan, c.at = &req, nil, nil, 0
	w.routeRange(now, c)
	return true
}

// part is what of a range lies in a shard.
func (w *Worker) part(c *call, s placement.Shard) *wire.RangeAt {
	part := &wire.RangeAt{RangeRequest: *c.req.Range, At: c.at}
	part.Range = c.req.Range.Intersect(s.Range)
	return part
}

// finish answers a call, once.
func (w *Worker) finish(c *call, r Reply) {
	if c.done {
		return
	}
	c.done = true
	w.calls.live--
	w.calls.bytes -= c.bytes
	for _, l := range c.legs {
		delete(w.calls.open, l.id)
	}
	w.reply(c, r)
}

func (w *Worker) reply(c *call, r Reply) {
	if c.then != nil {
		w.calls.own = append(w.calls.own, ownReply{c.then, r})
		return
	}
	r.ID = c.req.ID
	w.effects.Replies = append(w.effects.Replies, r)
}

// tickCalls ends the calls whose time is up, and has due legs try again.
func (w *Worker) tickCalls(now wire.Instant) {
	list := w.calls.list
	w.calls.list = nil
	var left []*call
	for _, c := range list {
		switch {
		case c.done:
			continue
		case now >= c.req.Deadline:
			if x := c.cross; x != nil && x.rev == 0 {
				w.release(now, x.try)
			}
			w.finish(c, Reply{Err: c.expired()})
			continue
		}
		if c.againAt != 0 && now >= c.againAt {
			c.againAt = 0
			w.route(now, c)
		}
		for _, l := range c.legs {
			w.retryIfDue(now, l)
		}
		w.showAlive(now, c)
		left = append(left, c)
	}
	w.calls.list = append(left, w.calls.list...)
}

// expired says what is known of a call whose time is up.
func (c *call) expired() error {
	for _, l := range c.legs {
		switch {
		case l.done:
		case l.req.Decide != nil && c.cross.try.Writes():
			return fmt.Errorf("%w: shard %v, which decides, did not answer in time",
				kv.ErrUncertain, l.shard)
		case l.sent && l.writes():
			return fmt.Errorf("%w: shard %v did not answer in time", kv.ErrUncertain, l.shard)
		case l.leaderless:
			return fmt.Errorf("%w: shard %v", kv.ErrNoLeader, l.shard)
		}
	}
	return kv.ErrTimeout
}
