package replica

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/cockroachdb/datadriven"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// TestStories plays testdata/stories: tales of one shard's replicas, in which
// every message, fsync and revision moves when the story says so.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		cryptotest.SetGlobalRandom(t, 1) // raft's election jitter
		s := &story{t: t}
		defer func() {
			if s.c != nil {
				s.c.close()
			}
		}()
		datadriven.RunTest(t, path, func(_ *testing.T, d *datadriven.TestData) string {
			s.d = d
			s.run()
			return s.told()
		})
	})
}

type story struct {
	t *testing.T
	c *cluster
	d *datadriven.TestData
}

// commands, by name. An argument n=1 names the node; requests are the lines
// below the command.
var commands = map[string]func(*story){
	// cluster nodes=3 [queue=N] [log-keep=N] [answer-bytes=N] [read-mode=quorum]:
	// a new shard, and nothing has happened yet.
	"cluster": (*story).cluster,
	"campaign": func(s *story) {
		s.node().input(func(r *Replica, _ *Output) { r.Campaign() })
	},
	"submit": (*story).submit,
	// number n=1 base=100 [ticket=2]: the oracle's answer to the oldest
	// ticket, or to the second.
	"number": (*story).grant,
	"lose-ticket": func(s *story) {
		n := s.node()
		n.input(func(r *Replica, _ *Output) { r.Unasked(n.ticket(1)) })
	},
	// observe n=1 rev=150: the oracle is heard to have come this far.
	"observe": func(s *story) {
		rev := kv.Revision(s.number("rev", 0))
		s.node().input(func(r *Replica, _ *Output) { r.Observe(s.c.now, rev) })
	},
	// settle: disks and network work until nothing is left to do.
	"settle": func(s *story) { s.c.settle() },
	"save":   func(s *story) { s.node().save() },
	"slow":   func(s *story) { s.node().slow = true },
	"fast":   func(s *story) { s.node().slow = false },
	// deliver [type=MsgApp] [to=2]: messages that wait arrive, once.
	"deliver":  func(s *story) { s.take((*cluster).deliver) },
	"drop":     func(s *story) { s.take(func(*cluster, parcel) {}) },
	"hold":     func(s *story) { s.c.held[s.typ()] = true },
	"release":  func(s *story) { delete(s.c.held, s.typ()) },
	"messages": (*story).messages,
	"cut":      func(s *story) { s.link(true) },
	"heal":     func(s *story) { s.link(false) },
	"wait":     func(s *story) { s.c.wait(time.Duration(s.number("ms", 0)) * time.Millisecond) },
	// jump ms=N: the clock alone runs, as after a pause of the process.
	"jump": func(s *story) {
		s.c.now += wire.Instant(time.Duration(s.number("ms", 0)) * time.Millisecond)
	},
	"tick": func(s *story) {
		for range s.number("count", 1) {
			s.node().input(func(r *Replica, out *Output) { r.Tick(s.c.now, out) })
		}
	},
	"crash": func(s *story) { s.node().crash() },
	"flush": func(s *story) { s.c.must(s.node().engine.Flush()) },
	"restart": func(s *story) {
		s.node().openLog()
		s.node().open(true)
	},
	// wipe n=3 inc=7: the node comes back with an empty directory.
	"wipe": func(s *story) {
		n := s.node()
		n.crash()
		n.format(kv.Incarnation(s.number("inc", 0)))
	},
	"peer": func(s *story) {
		s.node().input(func(r *Replica, _ *Output) {
			r.SetPeer(kv.NodeID(s.number("of", 0)), kv.Incarnation(s.number("inc", 0)))
		})
	},
	// pause: writes wait, because the engine is behind, until resume.
	"pause": func(s *story) {
		s.node().input(func(r *Replica, out *Output) { r.Hold(true, out) })
	},
	"resume": func(s *story) {
		s.node().input(func(r *Replica, out *Output) { r.Hold(false, out) })
	},
	"transfer": (*story).transfer,
	// prefer n=1 to=2 ms=1000: for so long, a leader tries to hand over for good.
	"prefer": func(s *story) {
		s.node().input(func(r *Replica, _ *Output) {
			until := s.c.now + wire.Instant(s.number("ms", 0))*wire.Instant(time.Millisecond)
			if err := r.Prefer(kv.NodeID(s.number("to", 0)), until); err != nil {
				s.c.sayf("%v", err)
			}
		})
	},
	"handover": func(s *story) {
		s.node().input(func(r *Replica, _ *Output) {
			s.c.sayf("something to hand over: %v", r.Handover(s.c.now))
		})
	},
	"carry": func(s *story) { s.c.carry() },
	"fail": func(s *story) {
		st := s.c.streams[0]
		s.c.streams = s.c.streams[1:]
		s.c.sent(st, false)
	},
	// install: a snapshot is in the engine, but the log does not know it yet.
	"install":  func(s *story) { s.node().install() },
	"truncate": (*story).truncate,
	"attached": (*story).attached,
	"heard":    (*story).heard,
	"locks":    (*story).locks,
	"marks":    (*story).marks,
	"show":     (*story).show,
	"log":      (*story).log,
}

func (s *story) run() {
	f, ok := commands[s.d.Cmd]
	switch {
	case !ok:
		s.d.Fatalf(s.t, "unknown command %s", s.d.Cmd)
	case s.c == nil && s.d.Cmd != "cluster":
		s.d.Fatalf(s.t, "a story begins with cluster")
	}
	f(s)
}

func (s *story) told() string {
	if s.c == nil || len(s.c.events) == 0 {
		return "ok\n"
	}
	told := strings.Join(s.c.events, "\n") + "\n"
	s.c.events = nil
	return told
}

func (s *story) cluster() {
	if s.c != nil {
		s.c.close()
	}
	bounds := DefaultBounds()
	bounds.LogKeepEntries = s.number("log-keep", bounds.LogKeepEntries)
	bounds.RingBytesMax = int(s.number("ring", uint64(bounds.RingBytesMax)))
	bounds.UnderWayBytesMax = int(s.number("under-way", uint64(bounds.UnderWayBytesMax)))
	bounds.QueueMax = int(s.number("queue", uint64(bounds.QueueMax)))
	bounds.AnswerBytesMax = int(s.number("answer-bytes", uint64(bounds.AnswerBytesMax)))
	bounds.EffectBytesMax = int(s.number("effect-bytes", uint64(bounds.EffectBytesMax)))
	mode := ReadLease
	if s.d.HasArg("read-mode") {
		mode = ReadQuorum
	}
	s.c = newCluster(s.t, int(s.number("nodes", 3)), bounds, mode)
}

func (s *story) number(name string, absent uint64) uint64 {
	if !s.d.HasArg(name) {
		return absent
	}
	var text string
	s.d.ScanArgs(s.t, name, &text)
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		s.d.Fatalf(s.t, "%s: %v", name, err)
	}
	return n
}

func (s *story) node() *site { return s.c.node(kv.NodeID(s.number("n", 1))) }

func (n *site) ticket(i int) Ticket {
	t := n.tickets[i-1]
	n.tickets = slices.Delete(n.tickets, i-1, i)
	return t
}

func (s *story) grant() {
	n := s.node()
	if len(n.tickets) == 0 {
		s.c.sayf("%v has not asked", n.id)
		return
	}
	t := n.ticket(int(s.number("ticket", 1)))
	base := kv.Revision(s.number("base", 0))
	n.input(func(r *Replica, out *Output) { r.Numbered(s.c.now, t, base, out) })
}

func (s *story) typ() raftpb.MessageType {
	var name string
	s.d.ScanArgs(s.t, "type", &name)
	value, ok := raftpb.MessageType_value[name]
	if !ok {
		s.d.Fatalf(s.t, "no message is of type %s", name)
	}
	return raftpb.MessageType(value)
}

// take does something with the messages that a command names.
func (s *story) take(do func(*cluster, parcel)) {
	to := kv.NodeID(s.number("to", 0))
	var chosen, rest []parcel
	for _, p := range s.c.parcels {
		other := s.d.HasArg("type") && p.msg.Msg.GetType() != s.typ()
		if other || to != 0 && to != p.to {
			rest = append(rest, p)
			continue
		}
		chosen = append(chosen, p)
	}
	s.c.parcels = rest
	for _, p := range chosen {
		s.c.sayf("%s", showParcel(p))
		do(s.c, p)
	}
}

func (s *story) messages() {
	for _, p := range s.c.parcels {
		s.c.sayf("%s", showParcel(p))
	}
}

func (s *story) link(cut bool) {
	a, b := kv.NodeID(s.number("n", 0)), kv.NodeID(s.number("from", 0))
	for _, other := range s.c.nodes {
		if other.id != a && (b == 0 || other.id == b) {
			s.c.cut[[2]kv.NodeID{a, other.id}] = cut
			s.c.cut[[2]kv.NodeID{other.id, a}] = cut
		}
	}
}

func (s *story) transfer() {
	s.node().input(func(r *Replica, _ *Output) {
		to, ok := r.state.desc.On(kv.NodeID(s.number("to", 0)))
		if !ok {
			s.d.Fatalf(s.t, "there is no replica")
		}
		r.transfer(to)
	})
}

func (s *story) truncate() {
	n := s.node()
	st, err := loadState(n.engine, 1)
	s.c.must(err)
	s.c.must(n.engine.Flush())
	n.input(func(r *Replica, _ *Output) { r.Truncate(st.applied.Index) })
	first, _ := n.log.Group(1).FirstIndex()
	s.c.sayf("%v has the log from %d", n.id, first)
}

// log tells what a node's log holds, and which of it is applied.
func (s *story) log() {
	n := s.node()
	g := n.log.Group(1)
	first, _ := g.FirstIndex()
	last, _ := g.LastIndex()
	var terms []string
	for i := first; i <= last; i++ {
		term, err := g.Term(i)
		s.c.must(err)
		terms = append(terms, fmt.Sprintf("%d@%d", i, term))
	}
	a := n.replica.Applied()
	s.c.sayf("%v log %s, applied %d at %v", n.id, strings.Join(terms, " "), a.Index, a.Revision)
}
