package keyspace

import (
	"bytes"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
)

func FuzzParseLeaseIndexKey(f *testing.F) {
	f.Add(LeaseIndexKey(nil, 1, 2, []byte("a\x00b")))
	f.Add([]byte{6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		shard, lease, key, err := ParseLeaseIndexKey(b)
		if refused(t, err) {
			return
		}
		if again := LeaseIndexKey(nil, shard, lease, key); !bytes.Equal(again, b) {
			t.Fatalf("%x came back as %x", b, again)
		}
	})
}

func FuzzParseLeaseRecord(f *testing.F) {
	f.Add(AppendLeaseRecord(nil, LeaseRecord{Life: 7, TTLSeconds: 60, LeftMillis: 1500}))
	f.Add(AppendLeaseRecord(nil, LeaseRecord{
		Life: 1, TTLSeconds: kv.LeaseTTLMax, Revoking: true, Shards: []kv.ShardID{1, 300},
	}))
	f.Add([]byte{0, 1, 1, 0, 5, 5})
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParseLeaseRecord(b)
		if refused(t, err) {
			return
		}
		if again := AppendLeaseRecord(nil, l); !bytes.Equal(again, b) {
			t.Fatalf("%x came back as %x", b, again)
		}
	})
}

func FuzzParseLeaseMark(f *testing.F) {
	f.Add(AppendLeaseMark(nil, LeaseMark{Life: 300, Closing: true}))
	f.Add([]byte{0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseLeaseMark(b)
		if refused(t, err) {
			return
		}
		if again := AppendLeaseMark(nil, m); !bytes.Equal(again, b) {
			t.Fatalf("%x came back as %x", b, again)
		}
	})
}

func TestLeaseIndexSpanHoldsOneLease(t *testing.T) {
	for _, lease := range []kv.LeaseID{1, 255, 1 << 40, -1} {
		span := LeaseIndexSpan(3, lease)
		for _, other := range []kv.LeaseID{lease - 1, lease, lease + 1} {
			for _, key := range awkwardKeys {
				for shard := kv.ShardID(2); shard <= 4; shard++ {
					b := LeaseIndexKey(nil, shard, other, key)
					got := bytes.Compare(b, span.Start) >= 0 && bytes.Compare(b, span.End) < 0
					if got != (shard == 3 && other == lease) {
						t.Errorf("%v of %v, %q, in the span of %v of 3: %v", other, shard, key,
							lease, got)
					}
				}
			}
		}
	}
}

func TestLeaseMetaSpan(t *testing.T) {
	span := LeaseMetaSpan(3)
	for _, id := range []kv.LeaseID{1, 1 << 52, -1} {
		key := LeaseMetaKey(nil, 3, id)
		if bytes.Compare(key, span.Start) < 0 || bytes.Compare(key, span.End) >= 0 {
			t.Errorf("%v is not in the span", id)
		}
		shard, kind, suffix, err := ParseMetaKey(key)
		back, err2 := ParseLeaseMetaSuffix(suffix)
		if err != nil || err2 != nil || shard != 3 || kind != KindLease || back != id {
			t.Errorf("%v came back as %v of %v, kind %q, %v, %v", id, back, shard, kind, err, err2)
		}
	}
	if _, err := ParseLeaseMetaSuffix([]byte{1}); !refused(t, err) {
		t.Error("a short suffix is taken")
	}
}

func TestLeaseMarksFollow(t *testing.T) {
	inOrder := []LeaseMark{{}, {Life: 1}, {Life: 1, Closing: true}, {Life: 2}, {Life: 9}}
	for i, a := range inOrder {
		for j, b := range inOrder {
			if got := b.Follows(a); got != (j > i) {
				t.Errorf("%+v follows %+v: %v", b, a, got)
			}
		}
	}
}

// encodeLease is encode for leases, nil if what is none of them.
func encodeLease(
	what string, args []string, number func(int) int64, text func(int) []byte,
) []byte {
	switch what {
	case "lease":
		return LeaseMetaKey(nil, kv.ShardID(number(0)), kv.LeaseID(number(1)))
	case "index":
		return LeaseIndexKey(nil, kv.ShardID(number(0)), kv.LeaseID(number(1)), text(2))
	case "record":
		l := LeaseRecord{
			Life: uint64(number(0)), TTLSeconds: number(1), LeftMillis: number(2),
			Revoking: len(args) > 3 && args[3] == "revoking",
		}
		for i := 4; i < len(args); i++ {
			l.Shards = append(l.Shards, kv.ShardID(number(i)))
		}
		return AppendLeaseRecord(nil, l)
	case "mark":
		return AppendLeaseMark(nil, LeaseMark{Life: uint64(number(0)), Closing: len(args) > 1})
	}
	return nil
}
