package kvtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
)

// watchHistory compares what a watch told while several clients wrote, over
// all shards, with what a watch from the beginning tells afterwards, and with
// the store's state at each revision.
func watchHistory(c *testCase) {
	const clients, writes = 3, 12
	live := c.newWatcher().mustAdd(kv.WatchRequest{PrevKV: true})
	var tasks []func() error
	for client := range clients {
		tasks = append(tasks, func() error { return c.spreadWrites(client, writes) })
	}
	ended := atOnce(tasks...)
	for writing := true; writing; {
		select {
		case err := <-ended:
			if err != nil {
				c.Fatal(err)
			}
			writing = false
		default:
		}
		// There is an event at every revision.
		upTo := live.of.progress()
		if n := len(live.events); upTo > c.start &&
			(n == 0 || live.events[n-1].KV.ModRevision < upTo) {
			c.Fatalf("progress to %v after %d events", upTo, n)
		}
	}
	past := c.newWatcher().mustAdd(kv.WatchRequest{From: c.start + 1, PrevKV: true})
	past.mustTell(len(live.events))
	for i := range live.events {
		if got, want := printedEvent(&past.events[i]), printedEvent(&live.events[i]); got != want {
			c.Fatalf("event %d of the past is %s, live it was %s", i, got, want)
		}
	}
	if last := live.events[len(live.events)-1].KV.ModRevision; last != c.start+clients*writes {
		c.Fatalf("%d transactions after %v end at %v", clients*writes, c.start, last)
	}
	c.checkStates(live.events)
}

// spreadWrites makes a number of transactions over several shards.
func (c *testCase) spreadWrites(client, writes int) error {
	for i := 0; i < writes; {
		_, err := c.store.Txn(c.ctx, spreadWrite(client, i))
		switch {
		case err == nil:
			i++
		case !errors.Is(err, kv.ErrConflict):
			return err
		}
	}
	return nil
}

// spreadWrite puts keys of several shards, and deletes one put before.
func spreadWrite(client, i int) kv.TxnRequest {
	value := fmt.Appendf(nil, "%d/%d", client, i)
	own := fmt.Sprintf("n/%d", client)
	req := kv.TxnRequest{Success: []kv.Op{
		{Put: &kv.PutRequest{Key: key("b/2"), Value: value}},
		{Put: &kv.PutRequest{Key: key("a"), Value: value}},
	}}
	if i%2 == 0 {
		req.Success = append(req.Success, kv.Op{Put: &kv.PutRequest{Key: key(own), Value: value}})
	} else {
		req.Success = append(req.Success,
			kv.Op{Delete: &kv.DeleteRequest{Range: kv.PrefixRange(key(own))}})
	}
	return req
}

// checkStates replays events and compares with reads at each revision.
func (c *testCase) checkStates(events []kv.Event) {
	c.Helper()
	state := map[string]string{}
	for i := range events {
		e := &events[i]
		prev := ""
		if e.Prev != nil {
			prev = string(e.Prev.Value)
		}
		if prev != state[string(e.KV.Key)] {
			c.Fatalf("%s, but the value was %q", printedEvent(e), state[string(e.KV.Key)])
		}
		state[string(e.KV.Key)] = string(e.KV.Value)
		if e.Deleted {
			delete(state, string(e.KV.Key))
		}
		at := e.KV.ModRevision
		if i+1 < len(events) && events[i+1].KV.ModRevision == at {
			continue
		}
		found := map[string]string{}
		for _, pair := range c.mustRange(kv.RangeRequest{Revision: at}).KVs {
			found[string(pair.Key)] = string(pair.Value)
		}
		if got, want := fmt.Sprint(found), fmt.Sprint(state); got != want {
			c.Fatalf("the events up to %v make %s, a read says %s", at, want, got)
		}
	}
}

func printedEvent(e *kv.Event) string {
	out := fmt.Sprintf("deleted=%v%s", e.Deleted, printedKVs([]kv.KeyValue{e.KV}, 0))
	if e.Prev != nil {
		out += " before" + printedKVs([]kv.KeyValue{*e.Prev}, 0)
	}
	return out
}

// longHistory catches up with more than one answer holds, and in ranges of it.
func longHistory(c *testCase) {
	const revisions = 300
	for i := range revisions {
		k := []string{"a", "n", "r/2"}[i%3]
		c.mustTxn(putOf(key(k), bytes.Repeat([]byte{byte(i)}, 2000)))
	}
	w := c.newWatcher()
	all := w.mustAdd(kv.WatchRequest{From: c.start + 1})
	n := w.mustAdd(kv.WatchRequest{Range: kv.PointRange(key("n")), From: c.start + 1})
	half := w.mustAdd(kv.WatchRequest{From: c.start + 1 + revisions/2})
	w.progress()
	for _, test := range []struct {
		of          *watched
		want, first int
		step        int
	}{{all, revisions, 1, 1}, {n, revisions / 3, 2, 3}, {half, revisions / 2, revisions/2 + 1, 1}} {
		if len(test.of.events) != test.want {
			c.Fatalf("%d events, want %d", len(test.of.events), test.want)
		}
		for i := range test.of.events {
			e := &test.of.events[i]
			at := c.start + kv.Revision(test.first+i*test.step)
			if e.KV.ModRevision != at || e.KV.Value[0] != byte(at-c.start-1) {
				c.Fatalf("event %d is at %v, want %v", i, e.KV.ModRevision, at)
			}
		}
	}
}

// manyWatches share a stream, and each is told once.
func manyWatches(c *testCase) {
	const watches = 200
	w := c.newWatcher()
	var all []*watched
	for i := range watches {
		keys := kv.Range{Start: key("many"), End: key(fmt.Sprintf("many/%03d", i+1))}
		all = append(all, w.mustAdd(kv.WatchRequest{Range: keys}))
	}
	c.mustWrite(kv.TxnRequest{Success: []kv.Op{
		{Put: &kv.PutRequest{Key: key("many/000")}},
		{Put: &kv.PutRequest{Key: key("many/100")}},
		{Put: &kv.PutRequest{Key: key("many/199")}},
	}})
	w.progress()
	for i, of := range all {
		want := 1
		if i >= 100 {
			want++
		}
		if i >= 199 {
			want++
		}
		if len(of.events) != want {
			c.Fatalf("watch %d was told %d events, want %d", i, len(of.events), want)
		}
	}
}

// removedWatches: nothing is delivered after Remove, whatever was under way.
func removedWatches(c *testCase) {
	w := c.newWatcher()
	stays := w.mustAdd(kv.WatchRequest{})
	for i := range 30 {
		id, err := w.add(kv.WatchRequest{From: c.start + 1})
		if err != nil {
			c.Fatal(err)
		}
		c.mustWrite(putOf(key("a"), fmt.Append(nil, i)))
		w.stream.Remove(id)
		w.stream.Remove(id)
		delete(w.watches, id)
	}
	w.stream.Remove(987654)
	stays.mustTell(30)
}

// endedStreams ends streams in every way and sees Next return.
func endedStreams(c *testCase) {
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	streams := map[string]kv.WatchStream{}
	for name, ctx := range map[string]context.Context{"closed": c.ctx, "canceled": ctx} {
		stream, err := c.store.Watch(ctx)
		if err != nil {
			c.Fatal(err)
		}
		if _, err := stream.Add(kv.WatchRequest{}); err != nil {
			c.Fatal(err)
		}
		streams[name] = stream
	}
	impatient, giveUp := context.WithCancel(c.ctx)
	giveUp()
	_, err := streams["closed"].Next(impatient)
	c.mustFail(err, context.Canceled, "a Next whose context has ended")

	errs := make(chan error, len(streams))
	for _, stream := range streams {
		go func() {
			_, err := stream.Next(c.ctx)
			errs <- err
		}()
	}
	streams["closed"].Close()
	streams["closed"].Close()
	cancel()
	for range streams {
		if err := <-errs; !errors.Is(err, kv.ErrStopped) && !errors.Is(err, context.Canceled) {
			c.Fatalf("the stream has ended, Next says %v", err)
		}
	}
	_, err = streams["closed"].Add(kv.WatchRequest{})
	c.mustFail(err, kv.ErrStopped, "a watch on a closed stream")
	streams["closed"].Remove(1)
	streams["closed"].Progress()
}

// ownedEvents checks that nobody writes the events that a watch told, and that
// its request may be changed once it is added.
func ownedEvents(c *testCase) {
	keys := kv.PrefixRange(key("b"))
	asked := kv.Range{Start: bytes.Clone(keys.Start), End: bytes.Clone(keys.End)}
	w := c.newWatcher()
	first := w.mustAdd(kv.WatchRequest{Range: asked, PrevKV: true})
	second := w.mustAdd(kv.WatchRequest{Range: keys, PrevKV: true})
	copy(asked.Start, "XXXXXXXX")
	copy(asked.End, "XXXXXXXX")
	first.req.Range = keys
	k := key("b/2")
	c.mustWrite(putOf(k, []byte("one")))
	c.mustWrite(putOf(k, []byte("two")))
	first.mustTell(2)
	third := w.mustAdd(kv.WatchRequest{Range: keys, PrevKV: true, From: c.start + 1})
	third.mustTell(2)
	for _, told := range [][]kv.Event{second.events, third.events} {
		last := told[1]
		if !bytes.Equal(last.KV.Key, k) || string(last.KV.Value) != "two" ||
			string(last.Prev.Value) != "one" || string(told[0].KV.Value) != "one" {
			c.Fatalf("the events became %s", printedEvent(&last))
		}
	}
	got := c.mustRange(kv.RangeRequest{Range: keys})
	if !slices.EqualFunc(got.KVs, second.events[1:], func(pair kv.KeyValue, e kv.Event) bool {
		return bytes.Equal(pair.Value, e.KV.Value)
	}) {
		c.Fatalf("the stored pair became %s", printedKVs(got.KVs, c.start))
	}
}
