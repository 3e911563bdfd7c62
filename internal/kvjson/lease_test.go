package kvjson_test

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// TestLeaseIDs: all 63 bits survive, whoever reads them.
func TestLeaseIDs(t *testing.T) {
	for _, id := range []kvjson.LeaseID{1, 1 << 53, 1<<53 + 1, math.MaxInt64} {
		text, err := json.Marshal(id)
		if err != nil {
			t.Fatal(err)
		}
		number := strings.Trim(string(text), `"`)
		if len(number) == len(text) {
			t.Errorf("%s is no string", text)
		}
		for _, form := range []string{string(text), number} {
			var got kvjson.LeaseID
			if err := kvjson.Decode([]byte(form), &got); err != nil || got != id {
				t.Errorf("%s is %d (%v)", form, got, err)
			}
		}
	}
	for _, text := range []string{
		`""`, `"x"`, `1.5`, `1e3`, `"9223372036854775808"`, `null`, `{}`, `" 1"`,
	} {
		var got kvjson.LeaseID
		if err := kvjson.Decode([]byte(text), &got); !errors.Is(err, kv.ErrInvalid) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestLeaseRoundTrip(t *testing.T) {
	for _, want := range []kv.Lease{
		{ID: 1, TTL: 2, Granted: 3, Revision: 4},
		{ID: math.MaxInt64, Keys: [][]byte{[]byte("a"), {0xff}, []byte("é")}},
	} {
		text, err := json.Marshal(kvjson.NewLease(want, true))
		if err != nil {
			t.Fatal(err)
		}
		var j kvjson.LeaseStatus
		if err := kvjson.Decode(text, &j); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got, err := j.Decode(); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s stands for %+v (%v), was made of %+v", text, got, err, want)
		}
	}
	// Keys that were not asked for are not there; none are none.
	for withKeys, want := range map[bool]string{
		false: `{"revision":0,"id":"1","ttl":0,"granted":0}`,
		true:  `{"revision":0,"id":"1","ttl":0,"granted":0,"keys":[]}`,
	} {
		text, err := json.Marshal(kvjson.NewLease(kv.Lease{ID: 1}, withKeys))
		if err != nil || string(text) != want {
			t.Errorf("%s (%v), want %s", text, err, want)
		}
	}
}

// TestNothingIsAssumed: a number that is missing is not 0.
func TestNothingIsAssumed(t *testing.T) {
	if _, err := new(kvjson.Grant).Decode(); !errors.Is(err, kv.ErrInvalid) {
		t.Errorf("a grant without a ttl: %v", err)
	}
	if _, err := new(kvjson.Compact).Decode(); !errors.Is(err, kv.ErrInvalid) {
		t.Errorf("a compaction without a revision: %v", err)
	}
}

// TestLeaseCompare: the operand may be a number or a string of one, but only
// for leases.
func TestLeaseCompare(t *testing.T) {
	for text, want := range map[string]int64{
		`{"key":"a","target":"lease","op":"=","value":"9007199254740993"}`: 9007199254740993,
		`{"key":"a","target":"lease","op":"=","value":9007199254740993}`:   9007199254740993,
		`{"key":"a","target":"lease","op":"=","value":"x"}`:                -1,
		`{"key":"a","target":"lease","op":"="}`:                            -1,
		`{"key":"a","target":"version","op":"=","value":"1"}`:              -1,
	} {
		var j kvjson.Compare
		if err := kvjson.Decode([]byte(text), &j); err != nil {
			t.Fatal(err)
		}
		got, err := j.Decode()
		switch {
		case want < 0 && !errors.Is(err, kv.ErrInvalid):
			t.Errorf("%s: %v", text, err)
		case want >= 0 && (err != nil || got.Number != want):
			t.Errorf("%s compares with %d (%v)", text, got.Number, err)
		}
	}
}
