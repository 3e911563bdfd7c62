package kvjson_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

func TestMessages(t *testing.T) {
	one, many := randomEvents(1), randomEvents(99)
	for text, want := range map[string]kv.WatchResponse{
		string(kvjson.AppendProgress(nil, 9)):               {Revision: 9},
		string(kvjson.AppendCompacted(nil, kv.RevisionMax)): {Compacted: kv.RevisionMax},
		string(kvjson.AppendChanges(nil, 7, nil)):           {Revision: 7},
		string(kvjson.AppendChanges(nil, 7, one)):           {Revision: 7, Events: one},
		string(kvjson.AppendChanges(nil, 8, many)):          {Revision: 8, Events: many},
		"{}": {},
	} {
		var m kvjson.Message
		if err := kvjson.Decode([]byte(text), &m); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		got, err := m.Decode()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s stands for %+v (%v), was made of %+v", text, got, err, want)
		}
	}
}

func randomEvents(n int) []kv.Event {
	rng := rand.New(rand.NewPCG(uint64(n), 1))
	events := make([]kv.Event, n)
	for i := range events {
		pair := pairs[rng.IntN(len(pairs))]
		if events[i].Deleted = rng.IntN(2) == 0; events[i].Deleted {
			events[i].KV = kv.KeyValue{Key: pair.Key, ModRevision: pair.ModRevision}
		} else {
			events[i].KV = pair
		}
		if rng.IntN(2) == 0 {
			events[i].Prev = &pairs[rng.IntN(len(pairs))]
		}
	}
	return events
}

func TestEventsRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{"revision":1,"events":[{"key":"a"}]}`:                              `type is ""`,
		`{"revision":1,"events":[{"type":"put","key":"a","key_base64":""}]}`: "exclude each other",
		`{"revision":1,"events":[{"type":"put","prev":{"key_base64":"?"}}]}`: "key_base64",
	} {
		var m kvjson.Message
		if err := kvjson.Decode([]byte(text), &m); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if _, err := m.Decode(); !errors.Is(err, kv.ErrInvalid) ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// FuzzEvent: any bytes survive, and so does any other number.
func FuzzEvent(f *testing.F) {
	f.Add([]byte("a"), []byte{0xff}, int64(9), int64(1<<62), true)
	f.Fuzz(func(t *testing.T, key, value []byte, mod, lease int64, withPrev bool) {
		pair := kv.KeyValue{
			Key: key, Value: value, ModRevision: kv.Revision(mod), Lease: kv.LeaseID(lease),
		}
		event := kv.Event{KV: pair}
		if withPrev {
			event.Prev = &pair
		}
		text := kvjson.AppendChanges(nil, 5, []kv.Event{event})
		var m kvjson.Message
		if err := kvjson.Decode(text, &m); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		got, err := m.Decode()
		if err != nil || string(kvjson.AppendChanges(nil, 5, got.Events)) != string(text) {
			t.Fatalf("%s became %+v (%v)", text, got, err)
		}
	})
}

// FuzzMessage: whatever a client takes from a node says the same when it is
// written again.
func FuzzMessage(f *testing.F) {
	f.Add(kvjson.AppendChanges(nil, 7, randomEvents(3)))
	f.Add(kvjson.AppendProgress(nil, 9))
	f.Add(kvjson.AppendCompacted(nil, 5))
	f.Add([]byte(`{"error":{"code":"stopped","status":503,"detail":"it stops"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var m kvjson.Message
		if json.Unmarshal(text, &m) != nil {
			return
		}
		resp, err := m.Decode()
		if err != nil {
			if !errors.Is(err, kv.ErrInvalid) {
				t.Fatalf("%v does not wrap ErrInvalid", err)
			}
			return
		}
		again := kvjson.AppendChanges(nil, resp.Revision, resp.Events)
		var m2 kvjson.Message
		if err := kvjson.Decode(again, &m2); err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		resp2, err := m2.Decode()
		if third := kvjson.AppendChanges(nil, resp2.Revision, resp2.Events); err != nil ||
			string(third) != string(again) {
			t.Fatalf("%s became %s (%v)", again, third, err)
		}
	})
}
