package worker

import (
	"fmt"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/oracle"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/wire"
)

// compaction raises the cluster's compaction floor, beside the leader of the
// system shard:
//
//	asked ──checked──> entry of the system shard ──applied──> told to all data shards
//	                                                                   │
//	answered <──────────────── all have it in their logs <─────────────┘
//
// A new leader tells the floor that it finds to all shards again, so what one
// has begun is brought to an end. Raising a floor twice does no harm.
type compaction struct {
	// term is that of the jobs and pushes.
	term uint64
	jobs []*compactJob
	// pushes are the data shards on their way to the floor; level is the floor
	// that all of them have.
	pushes map[kv.ShardID]*push
	level  kv.Revision
	// open are the shards asked, by request.
	open map[uint64]kv.ShardID
	auto autoCompactor
}

// compactJob is a compaction that was asked for.
type compactJob struct {
	// from is who asked; its ID is 0 for a compaction by the cluster itself.
	from  replica.Origin
	rev   kv.Revision
	since wire.Instant
	// current is the last revision when the floor was proposed, 0 before.
	current kv.Revision
	// last is what an oracle elsewhere told, 0 before; asking says that it is asked.
	last   kv.Revision
	asking bool
}

// push is the floor's way to one data shard.
type push struct {
	acked kv.Revision
	// id is the request under way to a node, 0 for none.
	id      uint64
	to      kv.NodeID
	tries   int
	pause   wire.Instant
	retryAt wire.Instant
}

const compactJobsMax = 256

// serveCompact takes a compaction of the cluster.
func (w *Worker) serveCompact(now wire.Instant, from replica.Origin, rev kv.Revision) {
	c, sys := &w.office.compaction, w.system()
	switch {
	case sys == nil:
		w.respond(from, wire.Response{Code: wire.CodeNotLeader})
	case !sys.Leading():
		w.respond(from, wire.Response{Code: wire.CodeNotLeader, Leader: sys.Leader()})
	case len(c.jobs) >= compactJobsMax:
		w.respond(from, wire.Response{Code: wire.CodeTooManyRequests})
	default:
		c.jobs = append(c.jobs, &compactJob{from: from, rev: rev, since: now})
	}
}

// runCompaction does what can be done. It follows runOracle, which knows
// whether this worker leads.
func (w *Worker) runCompaction(now wire.Instant) {
	c, sys := &w.office.compaction, w.system()
	if sys == nil {
		return
	}
	if !w.office.leading || c.term != w.office.term {
		w.dropJobs(sys)
		c.term, c.level, c.pushes, c.open = w.office.term, 0, nil, nil
		if w.cfg.Mutant == mutant.ForgetFloor {
			c.level = sys.Compacted()
		}
	}
	if !w.office.leading {
		return
	}
	w.spreadFloor(now, sys.Compacted())
	var left []*compactJob
	for _, j := range c.jobs {
		if !w.runJob(now, sys, j) {
			left = append(left, j)
		}
	}
	c.jobs = left
}

// dropJobs sends those who asked to the new leader. What was proposed may or
// may not come to be.
func (w *Worker) dropJobs(sys *replica.Replica) {
	c := &w.office.compaction
	for _, j := range c.jobs {
		resp := wire.Response{Code: wire.CodeNotLeader, Leader: sys.Leader()}
		if j.current != 0 {
			resp = wire.Response{Code: wire.CodeUncertain, Text: kv.ErrUncertain.Error()}
		}
		w.respondJob(j, resp)
	}
	c.jobs = nil
}

// runJob takes a compaction a step further, and reports whether it is over.
func (w *Worker) runJob(now wire.Instant, sys *replica.Replica, j *compactJob) bool {
	switch {
	case j.current != 0 && w.office.compaction.level >= j.rev:
		if j.from.ID == 0 {
			w.office.compaction.auto.done(now)
			w.log.Info("compacted automatically", "revision", j.rev)
		}
		w.respondJob(j, wire.Response{UpkeepResponse: wire.UpkeepResponse{
			Compacted: &wire.Compacted{Floor: sys.Compacted(), Current: j.current},
		}})
		return true
	case now-j.since > wire.Instant(w.cfg.Timing.RequestTimeout):
		w.respondJob(j, lateResponse(j))
		return true
	case j.current != 0:
		return false
	}
	return w.proposeFloor(now, sys, j)
}

func lateResponse(j *compactJob) wire.Response {
	if j.current == 0 {
		return wire.Response{Code: wire.CodeTimeout, Text: kv.ErrTimeout.Error()}
	}
	return wire.Response{
		Code: wire.CodeUncertain,
		Text: fmt.Sprintf("%v: not all shards were told in time", kv.ErrUncertain),
	}
}

// proposeFloor checks a floor and sends it through the log. The oracle's last
// revision may be behind if this replica does not lead any more: so a
// revision is only refused for that once it is certain that it does, and what
// is proposed is not committed unless it did.
func (w *Worker) proposeFloor(now wire.Instant, sys *replica.Replica, j *compactJob) bool {
	last, ok := w.lastFor(j)
	switch {
	case j.rev <= sys.Compacted():
		err := fmt.Errorf("%w: at %d already", kv.ErrCompacted, int64(sys.Compacted()))
		w.respondJob(j, wire.Response{Code: wire.CodeCompacted, Text: err.Error()})
		return true
	case !ok || j.rev <= sys.ProposedFloor():
		return false // soon
	case j.rev > last:
		err := fmt.Errorf("%w: %d is asked for, %d is current", kv.ErrFutureRevision,
			int64(j.rev), int64(last))
		resp := &wire.Response{Code: wire.CodeFutureRevision, Text: err.Error()}
		sys.Confirm(now, j.from, resp, &w.out)
		return true
	case !sys.ProposeFloor(j.rev):
		w.respondJob(j, wire.Response{Code: wire.CodeRetry})
		return true
	}
	j.current = last
	return false
}

// lastFor is a revision that was the last one after a compaction was asked for, if one
// is known by now.
func (w *Worker) lastFor(j *compactJob) (kv.Revision, bool) {
	if o := &w.office.oracle; w.shards.Oracle() == kv.SystemShard {
		return o.Last(), o.Serving()
	}
	if j.last == 0 && !j.asking {
		j.asking = true
		w.demands.client.Add(oracle.Demand{
			Granted: func(_ wire.Instant, base kv.Revision) { j.last = base - 1 },
			Lost:    func(wire.Instant) { j.asking = false },
		})
	}
	return j.last, j.last != 0
}

func (w *Worker) respondJob(j *compactJob, resp wire.Response) {
	if j.from.ID != 0 {
		w.respond(j.from, resp)
	}
}

// spreadFloor tells the floor to the data shards that do not have it.
func (w *Worker) spreadFloor(now wire.Instant, floor kv.Revision) {
	c := &w.office.compaction
	if floor <= c.level {
		return
	}
	if c.pushes == nil {
		c.pushes, c.open = map[kv.ShardID]*push{}, map[uint64]kv.ShardID{}
	}
	level := floor
	for i := range w.shards.Shards {
		shard := w.shards.Shards[i].ID
		p, ok := c.pushes[shard]
		if !ok {
			p = &push{}
			c.pushes[shard] = p
		}
		if p.acked < floor && now >= p.retryAt {
			w.push(now, shard, p, floor)
		}
		level = min(level, p.acked)
	}
	c.level = max(c.level, level)
}

// push tells the floor to whoever should lead a shard.
func (w *Worker) push(now wire.Instant, shard kv.ShardID, p *push, floor kv.Revision) {
	c := &w.office.compaction
	if p.id != 0 { // nobody has answered
		w.routes.forget(shard)
		delete(c.open, p.id)
	}
	p.id, p.to = w.nextID(), w.leaderOf(shard, p.tries)
	p.tries++
	p.retryAt = now + legTimeout
	c.open[p.id] = shard
	req := &wire.Request{
		ID: p.id, Shard: shard, Upkeep: wire.Upkeep{Compact: &wire.Compact{Revision: floor}},
	}
	if _, here := w.replicas[shard]; here && p.to == w.cfg.Node {
		w.serve(now, replica.Origin{Node: w.cfg.Node, ID: p.id}, req)
		return
	}
	w.send(p.to, wire.Message{Request: req})
}

// pushed takes a data shard's answer, and reports whether it is one.
func (w *Worker) pushed(now wire.Instant, from kv.NodeID, resp *wire.Response) bool {
	p, shard := w.pushOf(resp.ID)
	if p == nil {
		return false
	}
	switch {
	case resp.Code == wire.CodeOK && resp.Compacted != nil:
		w.endPush(p)
		p.pause, p.retryAt = 0, 0
		p.acked = max(p.acked, resp.Compacted.Floor)
		w.routes.learn(shard, from)
	case resp.Code == wire.CodeNotLeader:
		w.routes.learn(shard, resp.Leader)
		w.pausePush(now, p)
	default:
		w.pausePush(now, p)
	}
	return true
}

// pushOf is the shard that a request under way tells the floor.
func (w *Worker) pushOf(id uint64) (*push, kv.ShardID) {
	c := &w.office.compaction
	shard, ok := c.open[id]
	if !ok {
		return nil, 0
	}
	return c.pushes[shard], shard
}

func (w *Worker) endPush(p *push) {
	delete(w.office.compaction.open, p.id)
	p.id = 0
}

// pausePush tells a shard again, a little later.
func (w *Worker) pausePush(now wire.Instant, p *push) {
	w.endPush(p)
	p.pause = min(max(2*p.pause, retryMin), retryMax)
	p.retryAt = now + p.pause
}

// lostPushes ends the wait for a node that can't be reached.
func (w *Worker) lostPushes(now wire.Instant, node kv.NodeID) {
	for _, s := range w.shards.Shards { // in order, so that a run can be repeated
		p := w.office.compaction.pushes[s.ID]
		if p != nil && p.id != 0 && p.to == node {
			w.pausePush(now, p)
		}
	}
}

// tickCompaction has the cluster compact itself when it is time to.
func (w *Worker) tickCompaction(now wire.Instant) {
	c, sys := &w.office.compaction, w.system()
	if sys == nil {
		return
	}
	c.auto.cfg = w.cfg.AutoCompaction
	rev, ok := c.auto.look(now, w.observed)
	if !ok || !sys.Leading() || rev <= sys.Compacted() || len(c.jobs) >= compactJobsMax {
		return
	}
	c.jobs = append(c.jobs, &compactJob{rev: rev, since: now})
}
