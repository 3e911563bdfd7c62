package watch

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/wire"
)

// TestStories plays testdata/stories: tales of one hub, in which the story
// speaks for all replicas, the oracle and the receivers.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		s := &story{t: t}
		datadriven.RunTest(t, path, func(_ *testing.T, d *datadriven.TestData) string {
			s.d = d
			return s.run()
		})
	})
}

type story struct {
	t   *testing.T
	d   *datadriven.TestData
	hub *Hub
	now wire.Instant
	// sent are the requests of the hub, in order.
	sent   []Send
	events []string
	// untaken are the bytes in the queue of each stream.
	untaken map[StreamID]int
}

var commands = map[string]func(*story){
	// hub [node=1] nodes=3 [split=(g,p)] [queue=N] [chases=N] [recent=N] [pending=N]
	"hub":  (*story).build,
	"open": func(s *story) { s.sayf("open: %v", s.hub.Open(s.stream())) },
	// add 1 a [c] [from=5] [prev] [no-put] [no-delete]   (a c is a range, lines below)
	"add": (*story).add,
	"remove": func(s *story) {
		s.hub.Remove(s.now, s.stream(), kv.WatchID(s.number("id", 1)))
	},
	"close":    func(s *story) { s.hub.Close(s.now, s.stream()) },
	"progress": func(s *story) { s.hub.Progress(s.now, s.stream()) },
	// take: the receiver empties the queue.
	"take": func(s *story) {
		s.hub.Consumed(s.now, s.stream(), s.untaken[s.stream()])
		s.untaken[s.stream()] = 0
	},
	// answer: lines like "#2 up r5 r4.0 a=1 r5.0 -b", "#1 now r7 [floor=3]",
	// "#3 compacted r9", "#3 ask n2", "#3 retry".
	"answer": (*story).answers,
	"lost": func(s *story) {
		s.hub.Lost(s.now, s.sent[s.index(s.d.CmdArgs[0].Key)].Request)
	},
	"unreachable": func(s *story) {
		s.hub.Unreachable(s.now, kv.NodeID(s.int(s.d.CmdArgs[0].Key[1:])))
	},
	// wait ms=100: time passes, with ticks.
	"wait": func(s *story) {
		const tick = 50 * time.Millisecond
		for d := time.Duration(s.number("ms", 0)) * time.Millisecond; d > 0; d -= tick {
			s.now += wire.Instant(tick)
			s.hub.Tick(s.now)
			s.pass()
		}
	},
	"load": func(s *story) {
		l := s.hub.Load()
		s.sayf("%d streams, %d watches, %d slow, %d bytes, %d events, %d chases, %d groups",
			l.Streams, l.Watches, l.Slow, l.QueueBytes, l.Events, l.Chases, len(s.hub.groups.list))
	},
}

func (s *story) run() string {
	f, ok := commands[s.d.Cmd]
	if !ok || s.hub == nil && s.d.Cmd != "hub" {
		s.d.Fatalf(s.t, "unknown command %s", s.d.Cmd)
	}
	f(s)
	s.pass()
	told := strings.Join(s.events, "\n") + "\n"
	s.events = nil
	if told == "\n" {
		return "ok\n"
	}
	return told
}

func (s *story) sayf(format string, args ...any) {
	s.events = append(s.events, fmt.Sprintf(format, args...))
}

func (s *story) build() {
	layout := placement.Layout{Shards: 1, Replicas: 3}
	for i := range s.number("nodes", 3) {
		layout.Nodes = append(layout.Nodes, kv.NodeID(i+1))
	}
	if arg, ok := s.d.Arg("split"); ok {
		for _, key := range arg.Vals {
			layout.SplitAt = append(layout.SplitAt, []byte(key))
			layout.Shards++
		}
	}
	m, err := layout.Build()
	if err != nil {
		s.t.Fatal(err)
	}
	b := DefaultBounds()
	b.QueueBytesMax = s.number("queue", b.QueueBytesMax)
	b.ChasesMax = s.number("chases", b.ChasesMax)
	b.RecentBytesMax = s.number("recent", b.RecentBytesMax)
	b.PendingBytesMax = s.number("pending", b.PendingBytesMax)
	b.StreamWatchesMax = s.number("watches", b.StreamWatchesMax)
	b.StreamsMax = s.number("streams", b.StreamsMax)
	s.now, s.sent = wire.Instant(1000*time.Second), []Send{{}}
	s.untaken = map[StreamID]int{}
	s.hub = New(Config{
		Node: kv.NodeID(s.number("node", 1)), Map: m, Limits: kv.DefaultLimits, Bounds: b,
	})
}

func (s *story) stream() StreamID { return StreamID(s.number("on", 1)) }

func (s *story) number(name string, absent int) int {
	if !s.d.HasArg(name) {
		return absent
	}
	var n int
	s.d.ScanArgs(s.t, name, &n)
	return n
}

func (s *story) int(word string) int {
	n, err := strconv.Atoi(word)
	if err != nil {
		s.d.Fatalf(s.t, "%v", err)
	}
	return n
}

func (s *story) index(word string) int { return s.int(strings.TrimPrefix(word, "#")) }

func (s *story) revision(word string) kv.Revision {
	return kv.Revision(s.int(strings.TrimPrefix(word, "r")))
}

func (s *story) add() {
	for line := range strings.Lines(s.d.Input) {
		words := strings.Fields(line)
		req := kv.WatchRequest{Range: kv.PointRange([]byte(words[1]))}
		for _, word := range words[2:] {
			name, value, _ := strings.Cut(word, "=")
			switch name {
			case "from":
				req.From = s.revision(value)
			case "prev":
				req.PrevKV = true
			case "no-put":
				req.NoPut = true
			case "no-delete":
				req.NoDelete = true
			default:
				req.Range = kv.Range{Start: []byte(words[1]), End: []byte(word)}
			}
		}
		s.hub.Add(s.now, s.stream(), kv.WatchID(s.int(words[0])), req)
	}
}

func (s *story) answers() {
	for line := range strings.Lines(s.d.Input) {
		words := strings.Fields(line)
		i := s.index(words[0])
		if i >= len(s.sent) {
			s.d.Fatalf(s.t, "there is no request #%d", i)
		}
		snd := s.sent[i]
		resp := s.response(words[1:])
		resp.ID = snd.Request.ID
		s.hub.Receive(s.now, snd.To, resp)
		s.pass()
	}
}

func (s *story) response(words []string) *wire.Response {
	switch words[0] {
	case "now":
		resp := &wire.OracleResponse{Base: s.revision(words[1]) + 1}
		if len(words) > 2 {
			resp.Compacted = s.revision(strings.TrimPrefix(words[2], "floor="))
		}
		return &wire.Response{Oracle: resp}
	case "compacted":
		return &wire.Response{Fed: &wire.Fed{
			UpTo: kv.RevisionMax, Compacted: s.revision(words[1]),
		}}
	case "ask":
		return &wire.Response{Code: wire.CodeNotLeader, Leader: kv.NodeID(s.int(words[1][1:]))}
	case "retry":
		return &wire.Response{Code: wire.CodeRetry}
	case "up":
		return &wire.Response{Fed: s.fed(words[1:])}
	}
	s.d.Fatalf(s.t, "unknown answer %s", words[0])
	return nil
}

// fed reads "r5 r4.0 a=1 r5.1 -b": up to r5, with two events. A value "1<0" has the
// value before.
func (s *story) fed(words []string) *wire.Fed {
	f := &wire.Fed{UpTo: s.revision(words[0])}
	for pair := range slices.Chunk(words[1:], 2) {
		rev, sub, _ := strings.Cut(pair[0], ".")
		e := wire.FedEvent{Sub: uint32(s.int(sub))}
		e.KV.ModRevision = s.revision(rev)
		if key, ok := strings.CutPrefix(pair[1], "-"); ok {
			e.Deleted, e.KV.Key = true, []byte(key)
		} else {
			key, value, _ := strings.Cut(pair[1], "=")
			value, prev, before := strings.Cut(value, "<")
			e.KV.Key, e.KV.Value = []byte(key), []byte(value)
			if before {
				e.Prev = &kv.KeyValue{Key: e.KV.Key, Value: []byte(prev)}
			}
		}
		f.Events = append(f.Events, e)
	}
	return f
}

// pass tells what the hub wants done.
func (s *story) pass() {
	eff := s.hub.Pass(s.now)
	for _, b := range eff.Begun {
		if b.Err != nil {
			s.sayf("watch %d.%d: %v", b.Stream, b.ID, b.Err)
			continue
		}
		s.sayf("watch %d.%d begins", b.Stream, b.ID)
	}
	for _, d := range eff.Deliveries {
		s.untaken[d.Stream] += d.Bytes
		s.sayf("%d.%d ← %s", d.Stream, d.Response.ID, showResponse(&d.Response))
	}
	for _, snd := range eff.Sends {
		s.sent = append(s.sent, snd)
		s.sayf("→ %v #%d %s", snd.To, len(s.sent)-1, showRequest(snd.Request))
	}
}

func showRequest(req *wire.Request) string {
	f := req.Feed
	if f == nil {
		return "what is current?"
	}
	text := fmt.Sprintf("%v feed %d: %s after %v", req.Shard, f.Feed, showRange(f.Keys), f.After)
	if f.Want != 0 {
		text += fmt.Sprintf(" want %v", f.Want)
	}
	if f.PrevKV {
		text += " prev"
	}
	return text
}

func showRange(r kv.Range) string {
	switch {
	case r.End == nil:
		return fmt.Sprintf("[%s, ∞)", r.Start)
	case string(r.End) == string(r.Start)+"\x00":
		return string(r.Start)
	}
	return fmt.Sprintf("[%s, %s)", r.Start, r.End)
}

func showResponse(r *kv.WatchResponse) string {
	if r.Compacted != 0 {
		return fmt.Sprintf("compacted up to %v", r.Compacted)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "up to %v", r.Revision)
	for i := range r.Events {
		e := &r.Events[i]
		if e.Deleted {
			fmt.Fprintf(&text, " %v -%s", e.KV.ModRevision, e.KV.Key)
		} else {
			fmt.Fprintf(&text, " %v %s=%s", e.KV.ModRevision, e.KV.Key, e.KV.Value)
		}
		if e.Prev != nil {
			fmt.Fprintf(&text, "<%s", e.Prev.Value)
		}
	}
	return text.String()
}
