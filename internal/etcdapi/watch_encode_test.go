package etcdapi

import (
	"bytes"
	"math/rand/v2"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"

	"github.com/miruvor/miruvor/internal/kv"
)

// random makes values of all sizes, empty ones and extremes among them.
type random struct{ *rand.Rand }

func (r random) number() int64 {
	switch r.IntN(4) {
	case 0:
		return 0
	case 1:
		return r.Int64N(200)
	}
	return int64(r.Uint64() >> r.IntN(64))
}

func (r random) bytes() []byte {
	b := make([]byte, r.IntN(1<<r.IntN(9)))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func (r random) keyValue() kv.KeyValue {
	return kv.KeyValue{
		Key: r.bytes(), Value: r.bytes(),
		CreateRevision: kv.Revision(r.number()), ModRevision: kv.Revision(r.number()),
		Version: r.number(), Lease: kv.LeaseID(r.number()),
	}
}

func (r random) event() kv.Event {
	e := kv.Event{KV: r.keyValue()}
	if r.IntN(3) == 0 {
		e.KV = kv.KeyValue{Key: e.KV.Key, ModRevision: e.KV.ModRevision}
		e.Deleted = true
	}
	if r.IntN(3) == 0 {
		prev := r.keyValue()
		e.Prev = &prev
	}
	return e
}

func (r random) events(most int) []kv.Event {
	list := make([]kv.Event, 1+r.IntN(most))
	for i := range list {
		list[i] = r.event()
	}
	return list
}

func (r random) message() eventsMessage {
	return eventsMessage{
		standing: kv.Standing{
			Cluster: kv.ClusterID(r.number()), Node: kv.NodeID(r.number()),
			Term: uint64(r.number()),
		},
		revision: kv.Revision(r.number()), id: r.number() - 1,
	}
}

// etcdKV and etcdEvent are the same as etcd's messages.
func etcdKV(v *kv.KeyValue) *mvccpb.KeyValue {
	return &mvccpb.KeyValue{
		Key: v.Key, Value: v.Value, CreateRevision: int64(v.CreateRevision),
		ModRevision: int64(v.ModRevision), Version: v.Version, Lease: int64(v.Lease),
	}
}

func etcdEvent(e *kv.Event) *mvccpb.Event {
	event := &mvccpb.Event{Kv: etcdKV(&e.KV)}
	if e.Deleted {
		event.Type = mvccpb.Event_DELETE
	}
	if e.Prev != nil {
		event.PrevKv = etcdKV(e.Prev)
	}
	return event
}

func etcdMessage(m *eventsMessage, events []kv.Event) *pb.WatchResponse {
	resp := &pb.WatchResponse{
		Header: &pb.ResponseHeader{
			ClusterId: uint64(m.standing.Cluster), MemberId: uint64(m.standing.Node),
			Revision: int64(m.revision), RaftTerm: m.standing.Term,
		},
		WatchId: m.id,
	}
	for i := range events {
		resp.Events = append(resp.Events, etcdEvent(&events[i]))
	}
	return resp
}

// marshal is a message as it is sent.
func marshal(t *testing.T, message any) []byte {
	t.Helper()
	data, err := codec{}.Append(nil, message)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// What we encode is, to the byte, what etcd's messages are encoded to.
func FuzzEncodedEvents(f *testing.F) {
	for seed := range uint64(50) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := random{rand.New(rand.NewPCG(seed, 0))}
		m, events := r.message(), r.events(20)
		m.events = encodeEvents(events)
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(etcdMessage(&m, events))
		if err != nil {
			t.Fatal(err)
		}
		if got := marshal(t, &m); !bytes.Equal(got, want) {
			t.Errorf("encoded as\n%x, want\n%x", got, want)
		}
		if m.size() != len(want) {
			t.Errorf("the size is %d, want %d", m.size(), len(want))
		}
	})
}

// Parts are below the bound, unless they are of one event, and no part has room
// for the first event of the next. Together they are the whole; all but the last
// say that there is more.
func FuzzFragments(f *testing.F) {
	for seed := range uint64(50) {
		f.Add(seed, uint16(seed*40))
		f.Add(seed, uint16(0))
	}
	f.Fuzz(func(t *testing.T, seed uint64, bound uint16) {
		r := random{rand.New(rand.NewPCG(seed, 0))}
		m, events := r.message(), r.events(50)
		m.events = encodeEvents(events)
		bytesMax, parts := int(bound)+1, 0
		if bound == 0 {
			bytesMax = m.size() + r.IntN(5) - 2
		}
		rest := events
		for part := range m.fragments(events, bytesMax) {
			if len(rest) == 0 {
				t.Fatal("a part without events")
			}
			resp := &pb.WatchResponse{}
			data := marshal(t, &part)
			if err := proto.Unmarshal(data, resp); err != nil {
				t.Fatal(err)
			}
			if part.size() != len(data) {
				t.Errorf("the size is %d, want %d", part.size(), len(data))
			}
			parts++
			n := len(resp.Events)
			want := etcdMessage(&m, rest[:n])
			rest = rest[n:]
			want.Fragment = len(rest) > 0
			if !proto.Equal(resp, want) {
				t.Fatalf("a part is %v, want %v", resp, want)
			}
			if n > 1 && n < len(events) && len(data)+markBytesMissing(resp) >= bytesMax {
				t.Errorf("a part of %d events has %d bytes, bound %d", n, len(data), bytesMax)
			}
			if len(rest) > 0 && len(data)+eventFieldSize(&rest[0]) < bytesMax {
				t.Errorf("a part of %d bytes has room for %d", len(data), eventFieldSize(&rest[0]))
			}
		}
		if len(rest) > 0 {
			t.Errorf("%d events are in no part", len(rest))
		}
		if whole := m.size() < bytesMax || len(events) == 1; whole != (parts == 1) {
			t.Errorf("%d parts of %d bytes, bound %d", parts, m.size(), bytesMax)
		}
	})
}

// markBytesMissing is how much shorter the last part is for not being marked:
// etcd reckons with the mark of all.
func markBytesMissing(resp *pb.WatchResponse) int {
	if resp.Fragment {
		return 0
	}
	return fragmentMarkBytes
}

// Events that many are told of are encoded once, others by themselves.
func TestSharedEvents(t *testing.T) {
	var shared sharedEvents
	batch := []kv.Event{
		{KV: kv.KeyValue{Key: []byte("a"), ModRevision: 7}},
		{KV: kv.KeyValue{Key: []byte("b"), ModRevision: 7}},
	}
	first := shared.encode(batch)
	if again := shared.encode(batch[:2:2]); again != first {
		t.Error("the same events are encoded twice")
	}
	for name, other := range map[string][]kv.Event{
		"fewer":     batch[:1],
		"later":     batch[1:],
		"a copy":    append([]kv.Event(nil), batch...),
		"with prev": {{KV: batch[0].KV}, {KV: batch[1].KV, Prev: &batch[0].KV}},
	} {
		if got := shared.encode(other); !bytes.Equal(got.bytes, encodeEvents(other)) {
			t.Errorf("%s: encoded as others", name)
		}
	}
}
