package etcdtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"
)

// noWatch is the id in answers that are about no watch or about all of them.
const noWatch = -1

// fragmentBytesMax bounds a fragment of more than one event: etcd's default for
// requests, and what it allows for the rest of a message.
const fragmentBytesMax = 1536<<10 + 512<<10

// watches is what is known of the watches of a stream.
type watches struct {
	// asked are the requests whose created answers have not come, in order.
	asked []*pb.WatchCreateRequest
	by    map[int64]watch
	// closing means that answers to cancel requests are the runner's own.
	closing bool
	ended   bool
	// leaksPrev says that what was before an event may come without being
	// asked for.
	leaksPrev bool
}

type watch struct {
	req *pb.WatchCreateRequest
	// last is the revision of the last event, and whole whether there can be
	// no more of it.
	last  int64
	whole bool
	// promised is the revision at or below which nothing may come any more.
	promised int64
}

// alive are the watches that were created and not canceled, ascending.
func (w *watches) alive() []int64 { return slices.Sorted(maps.Keys(w.by)) }

// unfinished tells of watches that wait for the last fragment of a revision.
func (w *watches) unfinished() string {
	var out strings.Builder
	for _, id := range w.alive() {
		if !w.by[id].whole {
			fmt.Fprintf(&out, "%d broken: the last fragment did not come\n", id)
		}
	}
	return out.String()
}

// account is what is told of a number of responses: the order of control
// answers, and for each watch its own.
type account struct {
	watches
	base    int64
	created []string
	lines   map[int64][]string
}

// tell is text for responses, and what is known after them; w stays as it is.
func (w watches) tell(responses []*pb.WatchResponse, base int64) (string, watches) {
	a := &account{watches: w, base: base, lines: map[int64][]string{}}
	if a.by = maps.Clone(w.by); a.by == nil {
		a.by = map[int64]watch{}
	}
	for _, resp := range responses {
		a.add(resp)
	}
	var out strings.Builder
	if len(a.created) > 1 {
		fmt.Fprintf(&out, "created in the order %s\n", strings.Join(a.created, " "))
	}
	for _, id := range slices.Sorted(maps.Keys(a.lines)) {
		for _, line := range a.lines[id] {
			fmt.Fprintf(&out, "%d %s\n", id, line)
		}
	}
	return out.String(), a.watches
}

func (a *account) say(id int64, format string, args ...any) {
	a.lines[id] = append(a.lines[id], fmt.Sprintf(format, args...))
}

func (a *account) add(resp *pb.WatchResponse) {
	id := resp.WatchId
	switch {
	case resp.Header == nil:
		a.say(id, "broken: no header")
	case resp.Created:
		a.addCreated(resp)
	case resp.Canceled:
		_, ok := a.by[id]
		switch {
		case !ok:
			a.say(id, "canceled without being there%s", a.why(resp))
		case !a.closing:
			a.say(id, "canceled%s", a.why(resp))
		}
		delete(a.by, id)
	case len(resp.Events) == 0:
		a.addProgress(resp)
	default:
		a.addEvents(resp)
	}
}

func (a *account) addCreated(resp *pb.WatchResponse) {
	id := resp.WatchId
	a.created = append(a.created, fmt.Sprint(id))
	var req *pb.WatchCreateRequest
	if len(a.asked) > 0 {
		req, a.asked = a.asked[0], a.asked[1:]
	}
	if resp.Canceled {
		a.say(id, "created and canceled%s", a.why(resp))
		return
	}
	a.say(id, "created%s", a.why(resp))
	if _, ok := a.by[id]; ok {
		a.say(id, "broken: created twice")
	}
	a.by[id] = watch{req: req, whole: true}
	if len(resp.Events) > 0 {
		a.say(id, "broken: created and events in one")
	}
}

func (a *account) why(resp *pb.WatchResponse) string {
	out := fmt.Sprintf(" rev=%d", a.relative(resp.Header.Revision))
	if resp.CompactRevision != 0 {
		out += fmt.Sprintf(" compacted=%d", a.relative(resp.CompactRevision))
	}
	if resp.CancelReason != "" {
		out += fmt.Sprintf(" reason=%q", resp.CancelReason)
	}
	return out
}

// relative counts rev from where the script began.
func (a *account) relative(rev int64) int64 {
	if rev <= 0 {
		return rev
	}
	return rev - a.base + firstRevision
}

func (a *account) addProgress(resp *pb.WatchResponse) {
	id, rev := resp.WatchId, resp.Header.Revision
	a.say(id, "progress rev=%d", a.relative(rev))
	for each, w := range a.by {
		if id == noWatch || id == each {
			w.promised = max(w.promised, rev)
			a.by[each] = w
		}
	}
}

func (a *account) addEvents(resp *pb.WatchResponse) {
	id := resp.WatchId
	w, ok := a.by[id]
	if !ok {
		a.say(id, "broken: events, but no such watch")
	}
	for i, event := range resp.Events {
		rev := event.Kv.ModRevision
		switch {
		case rev < w.last || rev == w.last && w.whole && i == 0:
			a.say(id, "broken: revision %d in two parts or out of order", a.relative(rev))
		case rev <= w.promised:
			a.say(id, "broken: progress promised more than %d", a.relative(rev))
		case rev > resp.Header.Revision:
			a.say(id, "broken: the header is at %d", a.relative(resp.Header.Revision))
		}
		w.last = rev
		if event.PrevKv != nil && a.leaksPrev && !w.req.GetPrevKv() {
			event.PrevKv = nil
		}
		a.say(id, "%s", a.printEvent(event))
	}
	w.whole = !resp.Fragment
	switch fragments := w.req.GetFragment(); {
	case resp.Fragment && !fragments:
		a.say(id, "broken: a fragment, which was not asked for")
	case fragments && len(resp.Events) > 1 && proto.Size(resp) > fragmentBytesMax:
		a.say(id, "broken: a fragment of %d bytes", proto.Size(resp))
	}
	if ok {
		a.by[id] = w
	}
}

// printEvent is event with revisions counted from the script's begin.
func (a *account) printEvent(event *mvccpb.Event) string {
	out := event.Type.String() + " " + a.printPair(event.Kv)
	if event.PrevKv != nil {
		out += " was " + a.printPair(event.PrevKv)
	}
	return out
}

func (a *account) printPair(pair *mvccpb.KeyValue) string {
	return printPair(&mvccpb.KeyValue{
		Key: pair.Key, Value: pair.Value, Version: pair.Version, Lease: pair.Lease,
		CreateRevision: a.relative(pair.CreateRevision),
		ModRevision:    a.relative(pair.ModRevision),
	})
}

func countLines(text string) int { return strings.Count(text, "\n") }
