package replica

import (
	"maps"
	"slices"

	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/wire"
	"go.etcd.io/raft/v3/raftpb"
)

// leases are what a shard knows of leases. A key is put on a lease only where
// that is marked active. The marks are replicated:
//
//	(none) ──Activate──> active ──Close──> closing ──Forget──> (none)
//
// Activate makes its way over the system shard, which notes the shard down
// before the mark is made (Attach, Attached): so whoever ends the lease knows
// of all shards that have it. A Close that comes in between wins.
type leases struct {
	// marks are those applied.
	marks map[kv.LeaseID]keyspace.LeaseMark
	// batch is the last one of the system shard's records.
	batch uint64
	// attaching are the leases that the system shard is asked to attach.
	attaching map[kv.LeaseID]*attaching
	// changes go into the next entry, wants wait for marks to be applied.
	changes []mark
	wants   []markWant
	// keys are the questions for the keys of a lease.
	keys []*keysAsk
}

// attaching is a lease that is on its way to be active.
type attaching struct {
	seq     uint64
	waiting []Origin
	// closed is the highest life that was closed meanwhile.
	closed uint64
}

// markWant is somebody who waits for a mark.
type markWant struct {
	from  Origin
	since wire.Instant
	mark
}

// keysAsk is a question for the keys of a lease. Before it is answered, what
// could still hang a key on it has to be over: what was evaluated by then, and
// the transactions over several shards that held locks.
type keysAsk struct {
	from  Origin
	since wire.Instant
	id    kv.LeaseID
	wait  uint64
	txns  []wire.TxnID
}

// Attach is a request to the system shard to note down that keys of a shard
// may hang on a lease. Attached is called with it and the answer.
type Attach struct {
	Shard kv.ShardID
	ID    kv.LeaseID
	seq   uint64
}

// leaseWaitsMax bounds the questions about leases that wait.
const leaseWaitsMax = 20_000

// loadMarks reads what the engine holds.
func (r *Replica) loadMarks() error {
	r.leases.marks = map[kv.LeaseID]keyspace.LeaseMark{}
	if r.cfg.Shard == kv.SystemShard {
		return nil
	}
	return r.eachLease(func(id kv.LeaseID, value []byte) error {
		m, err := keyspace.ParseLeaseMark(value)
		r.leases.marks[id] = m
		return err
	})
}

// Active implements mvcc.Leases: all keys of the shard are alike.
func (l *leases) Active(_ []byte, id kv.LeaseID) bool {
	m, known := l.marks[id]
	return known && !m.Closing
}

// missing are those of some leases that are not active.
func (l *leases) missing(ids []kv.LeaseID) []kv.LeaseID {
	var list []kv.LeaseID
	for _, id := range ids {
		if !l.Active(nil, id) {
			list = append(list, id)
		}
	}
	return list
}

// submitLease takes what a data shard is asked about a lease.
func (r *Replica) submitLease(now wire.Instant, from Origin, req *wire.Lease, out *Output) {
	waits := len(r.leases.wants) + len(r.leases.keys)
	switch {
	case !r.canServe():
		r.answer(from, &wire.Response{Code: wire.CodeRetry}, out)
	case waits >= leaseWaitsMax:
		r.fail(from, kv.ErrTooManyRequests, out)
	case req.Life == 0 && (req.Op == wire.LeaseClose || req.Op == wire.LeaseForget):
		// Its entry could not be applied, by any replica.
		r.fail(from, kv.Invalid("lease %d: its life is 0", req.ID), out)
	case req.Op == wire.LeaseActivate:
		r.activate(from, req.ID, out)
	case req.Op == wire.LeaseClose:
		r.overtake(req)
		r.want(now, from, mark{req.ID, markClosing, req.Life}, out)
	case req.Op == wire.LeaseForget:
		r.overtake(req)
		r.want(now, from, mark{req.ID, markForgotten, req.Life}, out)
	case req.Op == wire.LeaseKeys:
		r.askKeys(now, from, req.ID, out)
	default:
		r.fail(from, kv.Invalid("lease: data shards do not know operation %d", req.Op), out)
	}
}

// activate sees to it that keys can be put on a lease.
func (r *Replica) activate(from Origin, id kv.LeaseID, out *Output) {
	l := &r.leases
	if l.Active(nil, id) {
		r.answer(from, leaseResponse(id, l.marks[id].Life), out)
		return
	}
	if l.attaching[id] == nil {
		if l.attaching == nil {
			l.attaching = map[kv.LeaseID]*attaching{}
		}
		a := &attaching{seq: r.queue.next()}
		l.attaching[id] = a
		out.Attaches = append(out.Attaches, Attach{Shard: r.cfg.Shard, ID: id, seq: a.seq})
	}
	l.attaching[id].waiting = append(l.attaching[id].waiting, from)
}

// overtake notes the end of a lease for an Attach that is under way.
func (r *Replica) overtake(req *wire.Lease) {
	if a := r.leases.attaching[req.ID]; a != nil {
		a.closed = max(a.closed, req.Life)
	}
}

// Attached tells what the system shard says to an Attach: the life of the
// lease, or an error. With CodeRetry nothing is known.
func (r *Replica) Attached(now wire.Instant, at Attach, resp *wire.Response, out *Output) {
	a := r.leases.attaching[at.ID]
	if a == nil || a.seq != at.seq {
		return // of an earlier term
	}
	delete(r.leases.attaching, at.ID)
	for _, from := range a.waiting {
		switch {
		case resp.Code != wire.CodeOK:
			r.answer(from, &wire.Response{Code: resp.Code, Text: resp.Text}, out)
		case resp.Lease == nil || resp.Lease.Life <= a.closed:
			r.answer(from, &wire.Response{Code: wire.CodeRetry}, out)
		default:
			r.want(now, from, mark{at.ID, markActive, resp.Lease.Life}, out)
		}
	}
}

// want has a mark made and answers when it is.
func (r *Replica) want(now wire.Instant, from Origin, m mark, out *Output) {
	if r.made(m) {
		r.Confirm(now, from, leaseResponse(m.id, m.life), out)
		return
	}
	r.leases.changes = append(r.leases.changes, m)
	r.leases.wants = append(r.leases.wants, markWant{from, now, m})
}

// made reports whether there is nothing to do for a mark any more.
func (r *Replica) made(m mark) bool {
	old, known := r.leases.marks[m.id]
	if m.op == markForgotten {
		return !known || old.Life > m.life
	}
	return !keyspace.LeaseMark{Life: m.life, Closing: m.op == markClosing}.Follows(old)
}

// proposeMarks sends the changes since the last time through the log.
func (r *Replica) proposeMarks(out *Output) {
	l := &r.leases
	if len(l.changes) == 0 {
		return
	}
	data := appendMarks(nil, l.changes)
	l.changes = nil
	if r.role.serving && r.step([]*raftpb.Entry{{Data: data}}) {
		return
	}
	for _, w := range l.wants { // those that are in the log are made all the same
		r.answer(w.from, &wire.Response{Code: wire.CodeRetry}, out)
	}
	l.wants = nil
}

// answerLeases answers what the entries applied last have settled.
func (r *Replica) answerLeases(now wire.Instant, out *Output) {
	l := &r.leases
	wants := l.wants
	l.wants = nil
	for _, w := range wants {
		switch {
		case !r.made(w.mark):
			l.wants = append(l.wants, w)
		case w.op == markActive && !l.Active(nil, w.id):
			r.answer(w.from, &wire.Response{Code: wire.CodeRetry}, out)
		default:
			r.answer(w.from, leaseResponse(w.id, w.life), out)
		}
	}
	r.answerKeys(now, out)
}

func (r *Replica) askKeys(now wire.Instant, from Origin, id kv.LeaseID, out *Output) {
	ask := &keysAsk{from: from, since: now, id: id, wait: r.queue.next()}
	for _, h := range r.locks.order {
		ask.txns = append(ask.txns, h.txn)
	}
	r.leases.keys = append(r.leases.keys, ask)
	r.answerKeys(now, out)
}

// answerKeys answers the questions for keys that wait for nothing any more.
func (r *Replica) answerKeys(now wire.Instant, out *Output) {
	asks := r.leases.keys
	r.leases.keys = nil
	for _, ask := range asks {
		if r.queue.pendingUpTo(ask.wait) || r.anyHeld(ask.txns) {
			r.leases.keys = append(r.leases.keys, ask)
			continue
		}
		r.Confirm(now, ask.from, r.leaseKeys(ask.id), out)
	}
}

func (r *Replica) anyHeld(txns []wire.TxnID) bool {
	for _, id := range txns {
		if r.locks.held[id] != nil {
			return true
		}
	}
	return false
}

func (r *Replica) leaseKeys(id kv.LeaseID) *wire.Response {
	keys, whole, err := mvcc.LeaseKeys(r.cfg.Engine, r.cfg.Shard, id, r.cfg.Bounds.AnswerBytesMax)
	if err != nil {
		return &wire.Response{Code: wire.CodeOf(err), Text: err.Error()}
	}
	return &wire.Response{Lease: &wire.LeaseResponse{
		Lease: kv.Lease{ID: id, Keys: keys, Revision: r.state.applied.Revision}, More: !whole,
	}}
}

// expireLeases gives up those who have waited since before.
func (r *Replica) expireLeases(before wire.Instant, out *Output) {
	l := &r.leases
	for len(l.wants) > 0 && l.wants[0].since < before {
		r.fail(l.wants[0].from, kv.ErrTimeout, out)
		l.wants = l.wants[1:]
	}
	for len(l.keys) > 0 && l.keys[0].since < before {
		r.fail(l.keys[0].from, kv.ErrTimeout, out)
		l.keys = l.keys[1:]
	}
}

// refuseLeases sends everybody to the new leader. All that is asked about
// leases can be asked twice.
func (r *Replica) refuseLeases(out *Output) {
	l := &r.leases
	for _, id := range slices.Sorted(maps.Keys(l.attaching)) {
		for _, from := range l.attaching[id].waiting {
			r.refuse(from, out)
		}
	}
	for _, w := range l.wants {
		r.refuse(w.from, out)
	}
	for _, ask := range l.keys {
		r.refuse(ask.from, out)
	}
	*l = leases{marks: l.marks}
}
