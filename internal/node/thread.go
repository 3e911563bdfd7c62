package node

import (
	"context"
	"sync"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/raftlog"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/wire"
	"github.com/miruvor/miruvor/internal/worker"
)

// thread runs one worker on one goroutine.
type thread struct {
	node   *Node
	index  int
	worker *worker.Worker
	inbox  inbox
	// held and shedding say what waits for the disk: see lookAtDisk. They are the
	// thread's own.
	held, shedding bool

	mu      sync.Mutex
	lastID  uint64
	waiting map[uint64]*waiter
}

// waiter is a request that the worker has. Who waits for the reply ends the visit, so
// that the thread need not, or the thread does if it is gone.
type waiter struct {
	ch    chan worker.Reply
	visit visit
	gone  bool
}

func newThread(n *Node, index int, w *worker.Worker) *thread {
	t := &thread{node: n, index: index, worker: w, waiting: map[uint64]*waiter{}}
	t.inbox.ready.L = &t.inbox.mu
	return t
}

// run is the thread's life. The clock is read after the inbox is emptied: see
// invariant 3 of package worker.
func (t *thread) run() {
	var events []event
	more := false
	for {
		var ok bool
		if events, ok = t.inbox.take(events, !more); !ok {
			break
		}
		now := t.node.cfg.lab.clock()
		t.lookAtDisk()
		for i := range events {
			t.handle(now, &events[i])
		}
		var eff *worker.Effects
		eff, more = t.worker.Pass(now)
		t.carryOut(eff)
	}
	t.refuseAll()
}

func (t *thread) handle(now wire.Instant, e *event) {
	switch {
	case e.tick:
		t.worker.Tick(now)
	case e.request != nil:
		t.worker.Submit(now, *e.request)
	case e.run != nil:
		e.run(now, t.worker)
	}
	for i := range e.messages {
		if !t.sheds(&e.messages[i]) {
			t.worker.Receive(now, e.from, e.messages[i])
		}
	}
	for _, r := range e.saved {
		t.worker.Saved(now, r)
	}
}

func (t *thread) carryOut(eff *worker.Effects) {
	t.send(eff.Sends)
	t.save(eff.Saves)
	for i := range eff.Streams {
		t.node.stream(t, eff.Streams[i])
	}
	// Who hears that an alarm is cleared may put at once.
	if eff.Standing != nil {
		t.node.standing.Store(eff.Standing)
	}
	t.reply(eff.Replies)
	if eff.Observed > 0 {
		t.node.observe(t, eff.Observed)
	}
}

// send groups messages by node, in the order of the first for each.
func (t *thread) send(sends []replica.Send) {
	for len(sends) > 0 {
		to := sends[0].To
		var batch []wire.Message
		rest := sends[:0]
		for _, s := range sends {
			if s.To == to {
				batch = append(batch, s.Message)
			} else {
				rest = append(rest, s)
			}
		}
		sends = rest
		t.node.send(to, batch)
	}
}

// save hands the log's writer what is to be saved: one job for all records up
// to a snapshot, which has to be installed first.
func (t *thread) save(saves []replica.Save) {
	for len(saves) > 0 {
		n := 1
		for n < len(saves) && saves[n].Install == nil {
			n++
		}
		job := raftlog.Job{}
		saved := make([]*replica.Replica, n)
		for i, s := range saves[:n] {
			job.Records = append(job.Records, s.Record)
			saved[i] = s.Replica
		}
		if install := saves[0].Install; install != nil {
			job.Before = install.Commit
		}
		job.Done = func() { t.inbox.put(event{saved: saved}) }
		if err := t.node.writer.Submit(job); err != nil {
			return // the node is stopping, or the writer has told why it failed
		}
		saves = saves[n:]
	}
}

// reply wakes the callers.
func (t *thread) reply(replies []worker.Reply) {
	if len(replies) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range replies {
		if w, ok := t.waiting[replies[i].ID]; ok {
			t.answer(w, &replies[i])
		}
	}
}

// answer hands a reply to who waits for it. t.mu is held.
func (t *thread) answer(w *waiter, r *worker.Reply) {
	delete(t.waiting, r.ID)
	if w.gone {
		w.visit.leave(r, kv.ErrTimeout) // which it was for its caller
		return
	}
	w.ch <- *r
}

// refuseAll wakes everybody when the thread ends.
func (t *thread) refuseAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, w := range t.waiting {
		t.answer(w, &worker.Reply{ID: id, Err: kv.ErrUncertain})
	}
}

// do has the worker carry a request out and waits for the reply. A caller that goes
// away leaves the request behind: the worker has it, and its bytes, until it replies, and
// so long it counts as what it is, a request under way.
func (t *thread) do(
	ctx context.Context, req worker.Request, visit visit,
) (worker.Reply, error) {
	w := &waiter{ch: make(chan worker.Reply, 1), visit: visit}
	t.mu.Lock()
	t.lastID++
	req.ID = t.lastID
	t.waiting[req.ID] = w
	t.mu.Unlock()
	if !t.inbox.putSoon(event{request: &req}) {
		t.refuse(req.ID, w)
		return worker.Reply{}, kv.ErrStopped
	}
	select {
	case r := <-w.ch:
		w.visit.leave(&r, r.Err)
		return r, nil
	case <-ctx.Done():
		t.abandon(req.ID, w)
		return worker.Reply{}, context.Cause(ctx)
	}
}

// abandon leaves a request to the worker, unless the reply is there by now.
func (t *thread) abandon(id uint64, w *waiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.waiting[id]; ok {
		w.gone = true
		return
	}
	r := <-w.ch
	w.visit.leave(&r, kv.ErrTimeout)
}

// refuse ends a request that the worker never got, if the end of the thread did not: that
// leaves its answer behind.
func (t *thread) refuse(id uint64, w *waiter) {
	t.mu.Lock()
	delete(t.waiting, id)
	t.mu.Unlock()
	w.visit.leave(&worker.Reply{}, kv.ErrStopped)
}

// call runs f on the thread and waits for it. It reports false if the thread
// has ended.
func (t *thread) call(f func(now wire.Instant, w *worker.Worker)) bool {
	done := make(chan struct{})
	ok := t.inbox.put(event{run: func(now wire.Instant, w *worker.Worker) {
		f(now, w)
		close(done)
	}})
	if !ok {
		return false
	}
	select {
	case <-done:
		return true
	case <-t.node.stopped:
		return false
	}
}
