package sim

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/engine/memory"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/member"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/raftlog"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/watch"
	"github.com/miruvor/miruvor/internal/wire"
	"github.com/miruvor/miruvor/internal/worker"
)

// nodeState is what a node is doing.
type nodeState uint8

const (
	down nodeState = iota
	// joining nodes have a member but no workers yet.
	joining
	up
)

// node is one process: its memory, which a crash takes, and what lies on its
// disk. boot counts its lives; events of an earlier one don't happen.
type node struct {
	c      *cluster
	id     kv.NodeID
	state  nodeState
	boot   int
	fs     *vfs.MemFS
	engine *memory.Engine
	log    *raftlog.Log
	// directory is the incarnation of the directory on disk.
	directory kv.Incarnation
	member    *member.Member
	threads   []*thread
	hub       *hub
	disk      disk
	clock     clock
	plight
}

// plight is what is wrong with a process: when it goes on if it is stopped, at which
// effect of its next passes it dies, 0 for not at all, and whether it is being
// stopped in order.
type plight struct {
	pausedUntil Time
	crashAfter  int
	leaving     bool
	// shedding nodes take no entries of others.
	shedding bool
	// died is when its last life ended, diedAppending that it did amid a write.
	died          Time
	diedAppending bool
}

// clock is a node's steady clock: it starts anywhere and runs at a rate.
type clock struct {
	start  wire.Instant
	booted Time
	rate   float64
}

func (n *node) now() wire.Instant {
	return n.clock.start + wire.Instant(float64(n.c.now-n.clock.booted)*n.clock.rate)
}

// local is how long d of the node's own clock takes.
func (n *node) local(d time.Duration) time.Duration {
	return time.Duration(float64(d) / n.clock.rate)
}

const logDir = "log"

// format gives the node an empty disk.
func (n *node) format() {
	n.fs, n.engine = vfs.NewCrashableMem(), memory.New()
	n.directory = kv.Incarnation(n.c.rng.Uint64() | 1)
}

// start runs the process on what its disk holds.
func (n *node) start() {
	n.boot++
	n.state = joining
	n.note("start", uint64(n.boot), 0)
	n.c.trace.sayf("%v starts", n.id)
	n.clock = clock{
		start:  wire.Instant(n.c.between(time.Second, 1000*time.Hour)),
		booted: n.c.now, rate: 1 + n.c.cfg.Drift*(2*n.c.rng.Float64()-1),
	}
	var err error
	n.log, err = raftlog.Open(raftlog.Options{
		FS: n.fs, Dir: logDir, SegmentBytes: n.c.cfg.Sizes.Segment, CacheBytes: 32 << 10,
		Salt: n.c.cfg.Seed<<8 | uint64(n.id), Logger: n.c.trace.logger(n.id),
	})
	if err != nil {
		n.c.failf("%v: open the log: %v", n.id, err)
	}
	n.disk = disk{node: n}
	n.c.probe.starts(n)
	if n.member, err = member.Open(n.memberConfig()); err != nil {
		n.c.failf("%v: open the directory: %v", n.id, err)
	}
	n.work(true)
	n.greet()
	n.flushNowAndThen()
	n.truncateNowAndThen()
}

func (n *node) memberConfig() member.Config {
	cfg := member.Config{
		Cluster: 7, Engine: n.engine, Mutant: n.c.cfg.Mutant, Logger: n.c.trace.logger(n.id),
		Self:  wire.Node{ID: n.id, Name: n.id.String(), Incarnation: n.directory},
		Found: n.found,
	}
	for _, id := range n.c.order {
		if id != n.id {
			cfg.Peers = append(cfg.Peers, id)
		}
	}
	for _, s := range n.c.allShards() {
		if slices.Contains(s.Nodes, n.id) {
			cfg.Groups = append(cfg.Groups, s.Nodes)
		}
	}
	return cfg
}

// found writes what a founder begins with.
func (n *node) found(b engine.Batch) error {
	if slices.Contains(n.c.shards.System.Nodes, n.id) {
		if err := placement.StoreMap(b, n.c.shards); err != nil {
			return err
		}
	}
	for _, s := range n.c.allShards() {
		if !slices.Contains(s.Nodes, n.id) {
			continue
		}
		if err := replica.Bootstrap(b, placement.NewDescriptor(s)); err != nil {
			return err
		}
	}
	return nil
}

// work starts the workers once the directory's role is decided.
func (n *node) work(restarted bool) {
	id := n.member.Identity()
	if n.state != joining || id.Role == wire.RoleUndecided {
		return
	}
	n.state = up
	shape := n.c.cfg.Shape
	n.threads = nil
	for i := range shape.Workers {
		w, err := worker.Open(worker.Config{
			Place: worker.Place{Index: i, Count: shape.Workers}, Node: n.id,
			Incarnation: id.ReplicaIncarnation(), Engine: n.engine, Log: n.log,
			Map: n.c.shards, Timing: n.c.timing(), Bounds: n.c.cfg.Sizes.bounds(),
			Restarted: restarted,
			ReadMode:  n.c.cfg.ReadMode, Mutant: n.c.cfg.Mutant, Logger: n.c.trace.logger(n.id),
			OracleWindow: n.c.cfg.Sizes.oracleWindow(),
		}, n.now())
		if err != nil {
			n.c.failf("%v: open worker %d: %v", n.id, i, err)
		}
		t := &thread{node: n, boot: n.boot, worker: w}
		n.threads = append(n.threads, t)
		if !restarted {
			w.Campaign()
		}
		t.tick()
	}
	n.hub = newHub(n)
	n.tellPeers()
}

// bounds are small, so that little load reaches them.
func (s Sizes) bounds() replica.Bounds {
	return replica.Bounds{
		QueueMax: 200, QueueBytesMax: 1 << 20, UnderWayBytesMax: 400,
		EntryBytesMax: 256, EffectBytesMax: 64 << 10,
		AnswerBytesMax: 1 << 20, PartKeysMax: s.Part, TurnBytesMax: 100 * s.Part,
		LogKeepEntries: s.Tail, LogKeepBytes: 1 << 20, RingBytesMax: 2 << 10,
		RecentBytesMax:      2 << 10,
		RecentValueBytesMax: cmp.Or(s.Value, replica.DefaultBounds().RecentValueBytesMax),
	}
}

func (n *node) serves() bool { return n.state == up }

func (n *node) threadOf(shard kv.ShardID) *thread {
	return n.threads[int(shard)%len(n.threads)]
}

// after schedules an event of this life of the process.
func (n *node) after(d time.Duration, do func()) {
	boot := n.boot
	n.c.after(d, func() {
		if n.boot == boot && n.state != down {
			do()
		}
	})
}

// whenRunning is after for what a stopped process doesn't do.
func (n *node) whenRunning(d time.Duration, do func()) {
	n.after(d, func() {
		if pause := n.pausedUntil - n.c.now; pause > 0 {
			n.whenRunning(time.Duration(pause), do)
			return
		}
		do()
	})
}

func (n *node) note(what string, a, b uint64) { n.c.trace.note(what, uint64(n.id), a, b) }

// greet tells the peers who runs here, now and then.
func (n *node) greet() {
	for _, g := range n.member.Greetings() {
		n.c.network.send(n, nil, g.To, g.Message)
	}
	every := time.Second
	if n.member.Role() == wire.RoleUndecided {
		every = 100 * time.Millisecond
	}
	n.whenRunning(n.local(every), n.greet)
}

// receive takes a message that arrived at the process.
func (n *node) receive(from kv.NodeID, m wire.Message) {
	if m.Greeting != nil {
		n.whenRunning(0, func() { n.receiveGreeting(from, m.Greeting) })
		return
	}
	if !n.serves() || n.sheds(&m) {
		return
	}
	if m.Response != nil && watch.Owns(m.Response.ID) {
		n.hub.receive(from, m.Response)
		return
	}
	n.c.spring(n, from, &m, true)
	if !n.serves() {
		return
	}
	n.c.probe.received(n, from, &m)
	t := n.threads[0]
	if shard, ok := shardOf(&m); ok {
		t = n.threadOf(shard)
	} else if i := worker.Owner(m.Response.ID); i < len(n.threads) {
		t = n.threads[i]
	}
	t.post(input{from: from, message: m})
}

func (n *node) receiveGreeting(from kv.NodeID, g *wire.Greeting) {
	answers, err := n.member.Receive(from, g)
	if errors.Is(err, member.ErrReplaced) {
		n.c.trace.sayf("%v was replaced", n.id)
		n.crash(0)
		return
	}
	if err != nil {
		n.c.failf("%v: greeting: %v", n.id, err)
	}
	for _, a := range answers {
		n.c.network.send(n, nil, a.To, a.Message)
	}
	n.work(false)
	n.tellPeers()
}

// tellPeers tells the workers what the member knows of other nodes.
func (n *node) tellPeers() {
	peers := n.member.Peers()
	for _, id := range n.c.order {
		p, ok := peers[id]
		if !ok {
			continue
		}
		for _, t := range n.threads {
			t.worker.SetPeer(id, p.ReplicaIncarnation())
		}
	}
}

func (n *node) unreachable(peer kv.NodeID) {
	for _, t := range n.threads {
		t.post(input{unreachable: peer})
	}
	if n.hub != nil {
		n.hub.unreachable(peer)
	}
}

// flushNowAndThen makes the engine durable.
func (n *node) flushNowAndThen() {
	n.whenRunning(n.c.around(300*time.Millisecond), func() {
		if err := n.engine.Flush(); err != nil {
			n.c.failf("%v: flush: %v", n.id, err)
		}
		n.note("flush", 0, 0)
		n.flushNowAndThen()
	})
}

// truncateNowAndThen makes the log shorter, at other moments than the flushes.
func (n *node) truncateNowAndThen() {
	n.whenRunning(n.c.around(200*time.Millisecond), func() {
		for _, t := range n.threads {
			t.post(input{call: func(wire.Instant) {
				if err := t.worker.Truncate(); err != nil {
					n.c.failf("%v: truncate: %v", n.id, err)
				}
			}})
		}
		n.truncateNowAndThen()
	})
}

// crash ends the process. percent of what was not synced survives; all of it
// if only the process was killed.
func (n *node) crash(percent int) {
	if n.state == down {
		return
	}
	n.note("crash", uint64(percent), 0)
	n.c.trace.sayf("%v crashes, %d%% of the unsynced survives", n.id, percent)
	n.c.probe.struck(FaultCrash)
	n.c.probe.crashes(n)
	image, err := n.image(percent)
	if err != nil {
		n.c.failf("%v: %v", n.id, err)
	}
	n.fs, n.engine = image, n.engine.Crash(n.c.rng)
	n.stop()
}

// image is what a crash leaves of the log.
func (n *node) image(percent int) (*vfs.MemFS, error) {
	if percent == 100 || !n.c.chance(n.c.cfg.Faults.Tear) {
		return crashImage(n.fs, logDir, percent, n.c.rng)
	}
	image, where, err := tornImage(n.fs, logDir, n.c.rng)
	if where != NoRare {
		n.c.probe.struck(FaultTear)
		n.c.probe.reached(where)
		n.c.trace.sayf("%v: a write is torn, %v", n.id, where)
	}
	return image, err
}

// stop forgets everything in memory.
func (n *node) stop() {
	n.state, n.boot = down, n.boot+1
	n.threads, n.hub, n.member, n.log = nil, nil, nil, nil
	n.pausedUntil, n.crashAfter, n.leaving, n.shedding = 0, 0, false, false
	n.c.lostNode(n)
	n.c.lostWatchers(n)
}

func (n *node) String() string { return fmt.Sprintf("%v", n.id) }
