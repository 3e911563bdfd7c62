package main

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/miruvor/miruvor/internal/faultfs"
)

// hunt strikes at one leader after the other, each time just when a client was
// told of something new: what it has answered, and nobody else may know yet, is at
// stake.
type hunt struct {
	seed   uint64
	shards int

	rng     *rand.Rand
	stop    context.CancelFunc
	hunting sync.WaitGroup
}

func (h *hunt) String() string { return "strike at leaders that have just answered" }

func (h *hunt) begin(ctx context.Context, a *arena) error {
	h.rng = rand.New(rand.NewPCG(h.seed, 2))
	ctx, h.stop = context.WithCancel(ctx)
	h.hunting.Go(func() {
		for ctx.Err() == nil {
			h.strike(ctx, a)
			h.rest(ctx, 200*ms, 1200*ms)
		}
	})
	return nil
}

// end waits until the last strike is put right.
func (h *hunt) end(context.Context, *arena) error {
	h.stop()
	h.hunting.Wait()
	return nil
}

// strike does something to the leader of a shard: in half of the cases of the system
// shard, without which no other leader gets far by itself.
func (h *hunt) strike(ctx context.Context, a *arena) {
	shard := h.rng.IntN(2) * (1 + h.rng.IntN(h.shards))
	node := victim{leads: true, shard: shard}.find(ctx, a)
	how, news := strikes[h.rng.IntN(len(strikes))], a.history.Seen
	if shard == 0 && h.rng.IntN(2) == 0 {
		news = a.history.Kept // the system shard has the leases
	}
	a.awaitNews(ctx, news)
	if ctx.Err() == nil {
		a.observe("n%d, which leads shard %d, %s", node+1, shard, how.name)
		how.strike(h, ctx, a, node)
	}
}

// strikes are what can be done to a leader. Each puts right what it did.
var strikes = []struct {
	name   string
	strike func(h *hunt, ctx context.Context, a *arena, node int)
}{
	{"is cut off", (*hunt).cutOff},
	{"is cut off and dies", (*hunt).cutOffAndKill},
	{"is not heard", (*hunt).silence},
	{"waits for slow disks, is not heard, and dies", (*hunt).leaveHalfDone},
	{"stops", (*hunt).freeze},
	{"dies", (*hunt).kill},
	{"loses sight of another, and a third starts anew", (*hunt).unsettle},
}

func (h *hunt) rest(ctx context.Context, least, most time.Duration) {
	wait(ctx, least+time.Duration(h.rng.Int64N(int64(most-least))))
}

// cutOff keeps a node from the others, but not from clients, until they have
// another leader.
func (h *hunt) cutOff(ctx context.Context, a *arena, node int) {
	l := &links{of: []victim{{node: node}}, in: true, out: true}
	a.setLinks(l, l.rule(ctx, a))
	h.rest(ctx, 600*ms, 2500*ms)
	a.setLinks(l, nil)
}

// silence lets a node hear the others, and not be heard.
func (h *hunt) silence(ctx context.Context, a *arena, node int) {
	l := &links{of: []victim{{node: node}}, out: true}
	a.setLinks(l, l.rule(ctx, a))
	h.rest(ctx, 300*ms, 2000*ms)
	a.setLinks(l, nil)
}

// leaveHalfDone lets much be under way that the disks of the other nodes hold up, whose
// answers a node hears, so that it goes on with the next step; nobody hears of that, and
// it dies.
func (h *hunt) leaveHalfDone(ctx context.Context, a *arena, node int) {
	slow := &disk{}
	set := func(f *faultfs.Fault) {
		for i := range a.nodes {
			if i != node {
				_ = a.setDisk(i, slow, f) // its node may be gone
			}
		}
	}
	set(&faultfs.Fault{Ops: faultfs.Sync, Delay: 60 * ms})
	h.rest(ctx, 150*ms, 400*ms)
	l := &links{of: []victim{{node: node}}, out: true}
	a.setLinks(l, l.rule(ctx, a))
	h.rest(ctx, 50*ms, 500*ms)
	a.nodes[node].end(syscall.SIGKILL)
	a.setLinks(l, nil)
	set(nil)
	h.revive(ctx, a, node)
}

// cutOffAndKill has a node die with what it answered by itself.
func (h *hunt) cutOffAndKill(ctx context.Context, a *arena, node int) {
	l := &links{of: []victim{{node: node}}, in: true, out: true}
	a.setLinks(l, l.rule(ctx, a))
	h.rest(ctx, 20*ms, 600*ms)
	a.nodes[node].end(syscall.SIGKILL)
	a.setLinks(l, nil)
	h.revive(ctx, a, node)
}

func (h *hunt) kill(ctx context.Context, a *arena, node int) {
	a.nodes[node].end(syscall.SIGKILL)
	h.revive(ctx, a, node)
}

// revive starts a node again, mostly after the others have elected.
func (h *hunt) revive(ctx context.Context, a *arena, node int) {
	h.rest(ctx, 100*ms, 2500*ms)
	if err := a.revive(node, 0); err != nil {
		a.observe("n%d can't be started: %v", node+1, err)
	}
}

// freeze stops a node for long enough that the others have another leader when it
// goes on, and finds what clients asked meanwhile.
func (h *hunt) freeze(ctx context.Context, a *arena, node int) {
	a.nodes[node].signal(syscall.SIGSTOP)
	h.rest(ctx, 800*ms, 2500*ms)
	a.nodes[node].signal(syscall.SIGCONT)
}

// unsettle has a node campaign because it hears nothing of the leader, while who
// heard it all the time may have forgotten that.
func (h *hunt) unsettle(ctx context.Context, a *arena, node int) {
	others := slices.DeleteFunc(h.rng.Perm(len(a.nodes)), func(i int) bool { return i == node })
	l := &links{cut: between([]int{node}, others[:1])}
	a.setLinks(l, l.rule(ctx, a))
	h.rest(ctx, 400*ms, 1100*ms)
	witness := a.nodes[others[1]]
	witness.end(syscall.SIGKILL)
	if err := a.revive(others[1], 0); err != nil {
		a.observe("%s can't be started: %v", witness.name, err)
	}
	h.rest(ctx, 600*ms, 1500*ms)
	a.setLinks(l, nil)
}

// awaitNews waits until somebody is told of what nobody has seen.
func (a *arena) awaitNews(ctx context.Context, news func() int64) {
	for seen := news(); news() == seen && ctx.Err() == nil; {
		wait(ctx, ms)
	}
}
