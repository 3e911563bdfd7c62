package kv_test

import (
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
)

func TestIsPoint(t *testing.T) {
	for _, tc := range []struct {
		name       string
		start, end string
		want       bool
	}{
		{"one key", "a", "a\x00", true},
		{"the empty key", "", "\x00", true},
		{"no key", "a", "a", false},
		{"two keys", "a", "a\x00\x00", false},
		{"up to the next letter", "a", "b", false},
		{"another key's end", "a", "b\x00", false},
		{"no longer than the start", "a\x00", "b\x00", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := kv.Range{Start: []byte(tc.start), End: []byte(tc.end)}
			if got := r.IsPoint(); got != tc.want {
				t.Errorf("%v: IsPoint = %v, want %v", r, got, tc.want)
			}
		})
	}
	if (kv.Range{Start: []byte("a")}).IsPoint() {
		t.Error("a range without an end is a point")
	}
}

func TestFit(t *testing.T) {
	pairs := []kv.KeyValue{
		{Key: []byte("a"), Value: []byte("12")},
		{Key: []byte("b"), Value: []byte("3456")},
		{Key: []byte("c")},
	}
	for _, tc := range []struct{ limit, bytesMax, want int }{
		{0, 0, 3},
		{1, 0, 1},
		{3, 0, 3},
		{4, 0, 3},
		{0, 1, 1}, // the first pair always fits
		{0, 3, 1},
		{0, 4, 2},
		{0, 8, 2},
		{0, 9, 3},
		{1, 9, 1},
		{3, 4, 2},
	} {
		req := kv.RangeRequest{Limit: tc.limit, BytesMax: tc.bytesMax}
		if got := req.Fit(pairs); got != tc.want {
			t.Errorf("limit %d, at most %d bytes: %d pairs fit, want %d",
				tc.limit, tc.bytesMax, got, tc.want)
		}
	}
	if got := (&kv.RangeResponse{KVs: pairs}).Size(); got != 9 {
		t.Errorf("Size = %d, want 9", got)
	}
}
