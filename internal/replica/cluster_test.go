package replica

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/engine/memory"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/raftlog"
	"github.com/miruvor/miruvor/internal/wire"
)

// cluster is one shard on a few nodes with everything between them in the
// hands of a story: time, the network, the disks and the oracle.
type cluster struct {
	t     *testing.T
	shard placement.Shard
	cfg   Config
	now   wire.Instant
	nodes []*site
	// parcels are on the network, in the order sent.
	parcels []parcel
	streams []stream
	// cut are the links that carry nothing, held the types of message that
	// stay on the network.
	cut  map[[2]kv.NodeID]bool
	held map[raftpb.MessageType]bool
	// events are what happened since the last command.
	events []string
}

// site is a node of the cluster.
type site struct {
	c       *cluster
	id      kv.NodeID
	inc     kv.Incarnation
	fs      *vfs.MemFS
	engine  *memory.Engine
	log     *raftlog.Log
	replica *Replica
	// saves wait for the disk; a slow one keeps them until it is told.
	saves []Save
	slow  bool
	// tickets are those that the replica has sent to the oracle.
	tickets []Ticket
	// attaches are those that the replica has sent to the system shard.
	attaches []Attach
	// asks are those that the replica has sent to other shards.
	asks  []Ask
	shown string
}

type parcel struct {
	from, to kv.NodeID
	data     []byte
	msg      *wire.Raft
}

type stream struct {
	from *site
	Stream
}

func newCluster(t *testing.T, nodes int, bounds Bounds, mode ReadMode) *cluster {
	c := &cluster{
		t: t, now: wire.Instant(1000 * time.Second),
		shard: placement.Shard{ID: 1, Epoch: 1},
		cut:   map[[2]kv.NodeID]bool{}, held: map[raftpb.MessageType]bool{},
		cfg: Config{
			Shard: 1, Timing: DefaultTiming(), Bounds: bounds, ReadMode: mode,
			Logger: slog.New(slog.DiscardHandler),
		},
	}
	for i := range nodes {
		c.shard.Nodes = append(c.shard.Nodes, kv.NodeID(i+1))
	}
	for _, id := range c.shard.Nodes {
		s := &site{c: c, id: id}
		c.nodes = append(c.nodes, s)
		s.format(0)
		b := s.engine.NewBatch()
		c.must(Bootstrap(b, placement.NewDescriptor(c.shard)))
		c.must(b.Commit())
		c.must(s.engine.Flush())
		s.open(false)
	}
	return c
}

func (c *cluster) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) sayf(format string, args ...any) {
	c.events = append(c.events, fmt.Sprintf(format, args...))
}

func (c *cluster) node(id kv.NodeID) *site { return c.nodes[id-1] }

// close ends the logs.
func (c *cluster) close() {
	for _, s := range c.nodes {
		if s.log != nil {
			c.must(s.log.Close())
		}
	}
}

// format gives the node an empty disk.
func (s *site) format(inc kv.Incarnation) {
	s.inc, s.fs, s.engine = inc, vfs.NewCrashableMem(), memory.New()
	s.openLog()
}

func (s *site) openLog() {
	var err error
	s.log, err = raftlog.Open(raftlog.Options{
		FS: s.fs, Dir: "log", SegmentBytes: 64 << 10, Salt: uint64(s.id), Logger: s.c.cfg.Logger,
	})
	s.c.must(err)
}

func (s *site) config(restarted bool) Config {
	cfg := s.c.cfg
	cfg.Node, cfg.Incarnation, cfg.Restarted = s.id, s.inc, restarted
	cfg.Engine, cfg.Log = s.engine, s.log.Group(cfg.Shard)
	return cfg
}

func (s *site) open(restarted bool) {
	cfg := s.config(restarted)
	rec, err := Recover(cfg)
	s.c.must(err)
	if rec != nil {
		s.c.must(s.log.Append([]raftlog.Record{*rec}))
		s.c.must(s.log.Sync())
	}
	s.replica, err = Open(cfg, s.c.now)
	s.c.must(err)
}

// crash loses what was not synced.
func (s *site) crash() {
	s.fs = s.fs.CrashClone(vfs.CrashCloneCfg{})
	s.engine = s.engine.Crash(rand.New(rand.NewPCG(1, uint64(s.id))))
	s.replica, s.log = nil, nil
	s.saves, s.tickets, s.attaches, s.shown = nil, nil, nil, ""
}

// pass does what a worker does after inputs.
func (s *site) pass(out *Output) {
	for busy := true; busy; {
		busy = s.replica.Ready(s.c.now, out)
		busy = s.replica.Work(s.c.now, out) || busy
		s.ask()
		if out.Batch != nil {
			s.c.must(out.Batch.Commit())
			out.Batch = nil
		}
		if busy {
			s.replica.Committed(s.c.now, out)
		}
		s.role()
		s.take(out)
	}
}

// take moves what the replica wants done to where the story finds it.
func (s *site) take(out *Output) {
	for i := range out.Answers {
		s.c.sayf("%v answers %s", s.id, showAnswer(&out.Answers[i].Response))
	}
	for _, snd := range out.Sends {
		data := wire.AppendMessage(nil, &snd.Message)
		m, _, err := wire.DecodeMessage(data)
		s.c.must(err)
		s.c.parcels = append(s.c.parcels, parcel{s.id, snd.To, data, m.Raft})
	}
	for _, st := range out.Streams {
		s.c.sayf("%v begins a snapshot for %v at index %d", s.id, st.To,
			st.Header.Msg.GetSnapshot().GetMetadata().GetIndex())
		s.c.streams = append(s.c.streams, stream{s, st})
	}
	for _, at := range out.Attaches {
		s.c.sayf("%v asks to attach lease %d", s.id, at.ID)
		s.attaches = append(s.attaches, at)
	}
	for _, ask := range out.Asks {
		s.c.sayf("%v %s", s.id, showAsk(&ask))
		s.asks = append(s.asks, ask)
	}
	s.saves = append(s.saves, out.Saves...)
	*out = Output{}
}

// ask sends what the replica wants of the oracle on its way.
func (s *site) ask() {
	for _, ok := s.replica.Want(); ok; _, ok = s.replica.Want() {
		t := s.replica.Asked()
		s.tickets = append(s.tickets, t)
		if t.Count() == 0 {
			s.c.sayf("%v asks for the last revision", s.id)
			continue
		}
		s.c.sayf("%v asks for revisions: %d", s.id, t.Count())
	}
}

// role tells when the replica's part changed.
func (s *site) role() {
	r := s.replica
	shown := "follows"
	switch {
	case r.role.serving:
		shown = "leads and serves"
	case r.role.leader:
		shown = "leads"
	}
	if shown != "follows" {
		shown += fmt.Sprintf(" in term %d", r.role.term)
	}
	if s.shown != shown && (s.shown != "" || shown != "follows") {
		s.c.sayf("%v %s", s.id, shown)
	}
	s.shown = shown
}

// input runs f on a node that is up, and then a pass.
func (s *site) input(f func(r *Replica, out *Output)) {
	if s.replica == nil {
		return
	}
	var out Output
	f(s.replica, &out)
	s.pass(&out)
}

// install is the first half of a save with a snapshot.
func (s *site) install() {
	for i := range s.saves {
		if in := s.saves[i].Install; in != nil {
			s.c.must(in.Commit())
			s.saves[i].Install = nil
		}
	}
}

// save brings the oldest save to the disk.
func (s *site) save() {
	sv := s.saves[0]
	if sv.Install != nil {
		s.c.must(sv.Install.Commit())
	}
	s.saves = s.saves[1:]
	s.c.must(s.log.Append([]raftlog.Record{sv.Record}))
	s.c.must(s.log.Sync())
	s.input(func(r *Replica, out *Output) { r.Saved(s.c.now, out) })
}

// deliver brings one parcel to its node.
func (c *cluster) deliver(p parcel) {
	s := c.node(p.to)
	switch {
	case c.cut[[2]kv.NodeID{p.from, p.to}]:
	case s.replica != nil && kv.ReplicaID(p.msg.Msg.GetTo()) == s.replica.ID():
		s.input(func(r *Replica, _ *Output) { r.Receive(c.now, p.from, p.msg) })
	case s.replica == nil && s.log != nil && p.msg.Msg.GetType() == raftpb.MsgApp:
		c.nothing(p)
	}
}

// nothing answers for a node without a replica, as a worker does.
func (c *cluster) nothing(p parcel) {
	m := p.msg.Msg
	c.parcels = append(c.parcels, parcel{p.to, p.from, nil, &wire.Raft{
		Shard: 1, Msg: &raftpb.Message{
			Type: raftpb.MsgAppResp.Enum(), From: m.To, To: m.From, Term: m.Term,
			Index: m.Index, Reject: new(true), RejectHint: new(uint64(0)), LogTerm: new(uint64(0)),
		},
	}})
}

// settle lets disks and network work until nothing is left to do.
func (c *cluster) settle() {
	for range 10_000 {
		if !c.saveOne() && !c.deliverOne() {
			return
		}
	}
	c.t.Fatal("the cluster does not come to rest")
}

func (c *cluster) saveOne() bool {
	for _, s := range c.nodes {
		if s.replica != nil && !s.slow && len(s.saves) > 0 {
			s.save()
			return true
		}
	}
	return false
}

func (c *cluster) deliverOne() bool {
	for i, p := range c.parcels {
		if !c.held[p.msg.Msg.GetType()] {
			c.parcels = slices.Delete(c.parcels, i, i+1)
			c.deliver(p)
			return true
		}
	}
	return false
}

// wait lets time pass, with ticks on all nodes.
func (c *cluster) wait(d time.Duration) {
	const tick = 50 * time.Millisecond
	for ; d >= tick; d -= tick {
		c.now += wire.Instant(tick)
		for _, s := range c.nodes {
			s.input(func(r *Replica, out *Output) { r.Tick(c.now, out) })
		}
		c.settle()
	}
	c.now += wire.Instant(d)
}

// carry brings the oldest snapshot to its receiver.
func (c *cluster) carry() {
	st := c.streams[0]
	c.streams = c.streams[1:]
	to := c.node(st.To)
	desc, err := placement.DecodeDescriptor(st.Header.Descriptor)
	c.must(err)
	in := c.gather(to.engine, &st.Stream)
	if to.replica == nil {
		to.replica, err = Create(to.config(false), desc)
		c.must(err)
	}
	to.input(func(r *Replica, _ *Output) { r.Restore(c.now, &st.Header, in) })
	c.sent(st, true)
}

func (c *cluster) sent(st stream, ok bool) {
	c.must(st.View.Close())
	to := kv.ReplicaID(st.Header.Msg.GetTo())
	st.from.input(func(r *Replica, _ *Output) { r.Sent(to, ok) })
}

func (c *cluster) gather(e engine.Engine, st *Stream) engine.Ingest {
	var spans []engine.Span
	for _, s := range keyspace.Spans(1, st.Range) {
		spans = append(spans, engine.Span{Start: s.Start, End: s.End})
	}
	in, err := e.NewIngest(spans)
	c.must(err)
	for _, s := range spans {
		it, err := st.View.NewIter(s.Start, s.End)
		c.must(err)
		for ok := it.First(); ok; ok = it.Next() {
			c.must(in.Add(it.Key(), it.Value()))
		}
		c.must(it.Close())
	}
	return in
}
