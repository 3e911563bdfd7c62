package kv_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
)

var small = kv.Limits{KeyBytesMax: 4, RequestBytesMax: 20, OpsMax: 3}

func ops(list ...kv.Op) []kv.Op { return list }

func point(key string) kv.Range { return kv.PointRange([]byte(key)) }

func put(key, value string) kv.Op {
	return kv.Op{Put: &kv.PutRequest{Key: []byte(key), Value: []byte(value)}}
}

func del(r kv.Range) kv.Op { return kv.Op{Delete: &kv.DeleteRequest{Range: r}} }

func get(r kv.Range) kv.Op { return kv.Op{Range: &kv.RangeRequest{Range: r}} }

func nested(then, els []kv.Op) kv.Op {
	return kv.Op{Txn: &kv.TxnRequest{Success: then, Failure: els}}
}

func prefix(p string) kv.Range { return kv.PrefixRange([]byte(p)) }

// TestCheckTxn: each rule from both of its sides. The text names the field.
func TestCheckTxn(t *testing.T) {
	for name, tc := range map[string]struct {
		ops  []kv.Op
		want error
		text string
	}{
		"nothing":     {nil, nil, ""},
		"longest key": {ops(put("1234", "")), nil, ""},
		"longer key": {
			ops(put("12345", "")),
			kv.ErrInvalid, "key is 5 bytes, the most is 4",
		},
		"empty key":     {ops(put("", "")), kv.ErrInvalid, "key is empty"},
		"longest point": {ops(get(point("1234"))), nil, ""},
		"longer point":  {ops(get(point("12345"))), kv.ErrInvalid, "range end"},
		"empty point":   {ops(del(point(""))), kv.ErrInvalid, "key is empty"},
		"all keys":      {ops(get(kv.Range{})), nil, ""},
		"largest":       {ops(put("1", strings.Repeat("x", 19))), nil, ""},
		"larger": {
			ops(put("1", strings.Repeat("x", 20))),
			kv.ErrTooLarge, "21 bytes",
		},
		"most": {ops(put("1", ""), put("2", ""), put("3", "")), nil, ""},
		"twice": {
			ops(put("1", ""), put("2", ""), put("1", "")),
			kv.ErrDuplicateKey, `"1"`,
		},
		"put and deleted": {ops(del(prefix("a")), put("ab", "")), kv.ErrDuplicateKey, `"ab"`},
		"deleted beside":  {ops(del(prefix("a")), put("b", "")), nil, ""},
		"deleted twice":   {ops(del(prefix("a")), del(prefix("a"))), nil, ""},
		"either branch":   {ops(nested(ops(put("1", "")), ops(put("1", "")))), nil, ""},
		"one branch twice": {
			ops(nested(nil, ops(put("1", ""), put("1", "")))),
			kv.ErrDuplicateKey, "",
		},
		"nested put, then deleted": {
			ops(nested(ops(put("a", "")), nil), nested(nil, ops(del(prefix("a"))))),
			kv.ErrDuplicateKey, `"a" is put and deleted`,
		},
		"no request": {ops(kv.Op{}), kv.ErrKeyNotFound, "no request"},
		"two requests": {
			ops(kv.Op{Put: put("1", "").Put, Delete: del(prefix("b")).Delete}),
			kv.ErrInvalid, "2 requests",
		},
		"too many": {
			ops(put("1", ""), put("2", ""), put("3", ""), put("4", "")),
			kv.ErrTooManyOps, "4",
		},
		"nested budget": {
			ops(put("1", ""), nested(ops(put("2", ""), put("3", "")), nil)),
			kv.ErrTooManyOps, "2",
		},
	} {
		for branch, req := range map[string]kv.TxnRequest{
			"then": {Success: tc.ops}, "else": {Failure: tc.ops},
		} {
			err := small.CheckTxn(&req)
			if !errors.Is(err, tc.want) || (err != nil && !strings.Contains(err.Error(), tc.text)) {
				t.Errorf("%s in %s: %v, want %v with %q", name, branch, err, tc.want, tc.text)
			}
		}
	}
}

func TestCheckCompare(t *testing.T) {
	for name, tc := range map[string]struct {
		compare kv.Compare
		text    string
	}{
		"no key":     {kv.Compare{RangeEnd: []byte("b")}, "compare key is empty"},
		"longer key": {kv.Compare{Key: []byte("12345")}, "compare key is 5 bytes"},
		"longer end": {
			kv.Compare{Key: []byte("1"), RangeEnd: []byte("123456")},
			"range end is 6",
		},
		"unknown target":   {kv.Compare{Key: []byte("1"), Target: 5}, "target is 5"},
		"unknown relation": {kv.Compare{Key: []byte("1"), Relation: 4}, "relation is 4"},
	} {
		err := small.CheckTxn(&kv.TxnRequest{Compares: []kv.Compare{tc.compare}})
		if !errors.Is(err, kv.ErrInvalid) || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: %v, want %q", name, err, tc.text)
		}
	}
}

func TestCheckRange(t *testing.T) {
	for field, req := range map[string]kv.RangeRequest{
		"limit":       {Limit: -1},
		"bytes max":   {BytesMax: -1},
		"revision":    {Revision: -1},
		"range start": {Range: kv.Range{Start: []byte("123456")}},
		"range end":   {Range: kv.Range{End: []byte("123456")}},
	} {
		err := small.CheckRange(&req)
		if !errors.Is(err, kv.ErrInvalid) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestCheckWatch(t *testing.T) {
	if err := small.CheckWatch(&kv.WatchRequest{}); err != nil {
		t.Errorf("a watch of everything: %v", err)
	}
	for field, req := range map[string]kv.WatchRequest{
		"from":         {From: -1},
		"range start":  {Range: kv.Range{Start: []byte("123456")}},
		"key is empty": {Range: kv.PointRange(nil)},
		"no key":       {Range: kv.Range{Start: []byte("b"), End: []byte("a")}},
	} {
		err := small.CheckWatch(&req)
		if !errors.Is(err, kv.ErrInvalid) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}
