package worker

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/engine/memory"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/raftlog"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/wire"
)

// scene is one worker alone: what it sends to other nodes is shown, and the
// test answers for them. Its own disk can be told to be slow.
type scene struct {
	t      *testing.T
	node   kv.NodeID
	layout placement.Layout
	now    wire.Instant
	engine *memory.Engine
	log    *raftlog.Log
	worker *Worker
	saves  []replica.Save
	slow   bool
	lastID uint64
	// asked are the requests that the worker sent, in order.
	asked  []replica.Send
	events []string
	// outlook shows what the worker asks for itself about alarms; else it is
	// put off.
	outlook bool
	link
}

// link is a node's to others, if there are any. A node that is down takes
// nothing; one that is cut off goes on alone.
type link struct {
	// network takes what is for other nodes; inbox is what came from them.
	network   func(*replica.Send)
	inbox     []letter
	down, cut bool
	// mute, if set, says which messages to others are lost.
	mute func(*wire.Message) bool
}

type letter struct {
	from    kv.NodeID
	message wire.Message
}

// newScene starts a worker of a node, which holds the replicas that the layout
// places on it.
func newScene(t *testing.T, node kv.NodeID, layout placement.Layout) *scene {
	s := &scene{
		t: t, node: node, layout: layout, now: wire.Instant(1000 * time.Second),
		engine: memory.New(),
	}
	m, err := layout.Build()
	s.must(err)
	b := s.engine.NewBatch()
	s.must(placement.StoreMap(b, m))
	for _, sh := range append([]placement.Shard{m.System}, m.Shards...) {
		if slices.Contains(sh.Nodes, node) {
			s.must(replica.Bootstrap(b, placement.NewDescriptor(sh)))
		}
	}
	s.must(b.Commit())
	s.log, err = raftlog.Open(raftlog.Options{
		FS: vfs.NewMem(), Dir: "log", SegmentBytes: 64 << 10, Salt: 5,
		Logger: slog.New(slog.DiscardHandler),
	})
	s.must(err)
	s.open(m)
	return s
}

// open begins a life of the node.
func (s *scene) open(m placement.Map) {
	var err error
	s.worker, err = Open(Config{
		Place: Place{Index: 0, Count: 1}, Node: s.node, Engine: s.engine, Log: s.log, Map: m,
		Timing: replica.DefaultTiming(), Bounds: replica.DefaultBounds(),
		Logger: slog.New(slog.DiscardHandler),
	}, s.now)
	s.must(err)
	s.worker.Campaign()
	s.pass()
	s.events = nil
}

func (s *scene) close() { s.must(s.log.Close()) }

func (s *scene) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) sayf(format string, args ...any) {
	s.events = append(s.events, fmt.Sprintf(format, args...))
}

// pass lets the worker and its disk come to rest.
func (s *scene) pass() {
	for more := true; more; {
		var eff *Effects
		eff, more = s.worker.Pass(s.now)
		for i := range eff.Sends {
			s.sent(&eff.Sends[i])
		}
		if eff.Standing != nil && s.outlook {
			s.sayf("%s", showStanding(eff.Standing))
		}
		for i := range eff.Replies {
			s.sayf("%s", showReply(&eff.Replies[i]))
		}
		s.saves = append(s.saves, eff.Saves...)
		for len(s.saves) > 0 && !s.slow {
			s.save()
			more = true
		}
	}
}

func (s *scene) save() {
	sv := s.saves[0]
	s.saves = s.saves[1:]
	s.must(s.log.Append([]raftlog.Record{sv.Record}))
	s.must(s.log.Sync())
	s.worker.Saved(s.now, sv.Replica)
}

// sent shows a request, and hands what is for this node back to it.
func (s *scene) sent(snd *replica.Send) {
	m := snd.Message
	switch {
	case snd.To == s.node:
		s.worker.Receive(s.now, s.node, m)
	case s.network != nil:
		s.network(snd)
	case m.Request != nil && m.Request.Alarm != nil && !s.outlook:
		retry := &wire.Response{ID: m.Request.ID, Code: wire.CodeRetry}
		s.worker.Receive(s.now, snd.To, wire.Message{Response: retry})
	case m.Request != nil:
		s.asked = append(s.asked, *snd)
		s.sayf("→ %v #%d %s", snd.To, len(s.asked), showRequest(m.Request))
	case m.Response != nil:
		s.sayf("→ %v answer %d: %s", snd.To, m.Response.ID, showResponse(m.Response))
	}
}

func (s *scene) submit(req Request) {
	s.lastID++
	req.ID = s.lastID
	if req.Deadline == 0 {
		req.Deadline = s.now + wire.Instant(5*time.Second)
	}
	s.worker.Submit(s.now, req)
	s.pass()
}

// answer brings the answer of the node that the i'th request went to.
func (s *scene) answer(i int, resp wire.Response) {
	resp.ID = s.asked[i-1].Message.Request.ID
	s.worker.Receive(s.now, s.asked[i-1].To, wire.Message{Response: &resp})
	s.pass()
}

// wait lets time pass.
func (s *scene) wait(d time.Duration) {
	const tick = 50 * time.Millisecond
	for ; d > 0; d -= tick {
		s.now += wire.Instant(tick)
		s.worker.Tick(s.now)
		s.pass()
	}
}

func showRequest(req *wire.Request) string {
	switch {
	case req.Oracle != nil:
		return fmt.Sprintf("oracle: %d revisions", req.Oracle.Count)
	case req.Map != nil:
		return "shard map"
	case req.Range != nil:
		return fmt.Sprintf("%v: %s", req.Shard, showRange(req.Range))
	case req.Lease != nil:
		return showLeaseRequest(req.Shard, req.Lease)
	case req.Alarm != nil:
		return showAlarmRequest(req.Shard, req.Alarm)
	}
	if text, ok := showCross(req); ok {
		return fmt.Sprintf("%v: %s", req.Shard, text)
	}
	return fmt.Sprintf("%v: transaction", req.Shard)
}

func showRange(r *wire.RangeAt) string {
	text := fmt.Sprintf("range [%s, %s)", r.Start, r.End)
	if string(r.End) == string(r.Start)+"\x00" {
		text = fmt.Sprintf("key %s", r.Start)
	}
	for _, part := range []struct {
		on   bool
		text string
	}{
		{r.At != 0, " at " + r.At.String()},
		{r.Limit != 0, fmt.Sprintf(" limit %d", r.Limit)},
		{r.BytesMax != 0, fmt.Sprintf(" bytes %d", r.BytesMax)},
		{r.Serializable, " local"},
		{r.KeysOnly, " keys"},
		{r.CountOnly, " count"},
		{r.Reverse, " reverse"},
	} {
		if part.on {
			text += part.text
		}
	}
	return text
}

func showResponse(r *wire.Response) string {
	switch {
	case r.Code == wire.CodeNotLeader:
		return fmt.Sprintf("not the leader, that is %v", r.Leader)
	case r.Code != wire.CodeOK:
		return r.Err().Error()
	case r.Oracle != nil:
		return fmt.Sprintf("%d from %v", r.Oracle.Count, r.Oracle.Base)
	case r.Range != nil:
		return showPairs(r.Range)
	case r.Txn != nil:
		return r.Txn.Revision.String()
	case r.Lease != nil:
		return showLease(r.Lease)
	case r.Alarms != nil:
		return showAlarmReply(r.Alarms)
	}
	return "map"
}

func showPairs(r *kv.RangeResponse) string {
	var b strings.Builder
	b.WriteString(r.Revision.String())
	for _, p := range r.KVs {
		fmt.Fprintf(&b, " %s=%s", p.Key, p.Value)
	}
	if r.Count > 0 {
		fmt.Fprintf(&b, ", %d keys", r.Count)
	}
	if r.More {
		b.WriteString(", more")
	}
	return b.String()
}

func showReply(r *Reply) string {
	switch {
	case r.Err != nil:
		return fmt.Sprintf("reply %d: %v", r.ID, r.Err)
	case r.Range != nil:
		return fmt.Sprintf("reply %d: %s", r.ID, showPairs(r.Range))
	case r.Compacted != nil:
		return fmt.Sprintf("reply %d: floor %v of %v", r.ID, r.Compacted.Floor,
			r.Compacted.Current)
	case r.Lease != nil:
		return fmt.Sprintf("reply %d: %s", r.ID, showLease(r.Lease))
	case r.Alarms != nil:
		return fmt.Sprintf("reply %d: %s", r.ID, showAlarmReply(r.Alarms))
	}
	return fmt.Sprintf("reply %d: %s", r.ID, showTxn(r.Txn))
}
