package replica

import (
	"bytes"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

var (
	somePrepare = &prepareRecord{
		txn: wire.TxnID{Node: 3, Seq: 1 << 60}, primary: 2, lower: 300,
		locks: []wire.Lock{
			{Range: kv.Range{Start: []byte("a"), End: []byte("b")}, Write: true},
			{Range: kv.Range{Start: []byte("c")}},
		},
	}
	someDecide = &decideRecord{
		txn: wire.TxnID{Node: 3, Seq: 9}, commit: true, revision: 301, effect: []byte("e"),
		others: []wire.Part{{Shard: 4, Token: 17, Effect: []byte("f")}, {Shard: 5, Token: 18}},
	}
	someResolve = &resolveRecord{
		txn: wire.TxnID{Node: 3, Seq: 9}, token: 17, commit: true, revision: 301,
		effect: []byte("f"),
	}
	someForgotten = []wire.TxnID{{Node: 1, Seq: 2}, {Node: 3, Seq: 4}}
	someChange    = alarmChange{
		seq: 300, raise: true, alarm: kv.Alarm{Node: 301, Kind: kv.AlarmCorrupt},
	}
)

// again decodes a record of a kind and encodes what came out.
func again(kind byte, data []byte) (encoded []byte, err error) {
	switch kind {
	case kindPrepare:
		p, err := decodePrepare(data)
		return appendPrepare(nil, p), err
	case kindDecide:
		d, err := decodeDecide(data)
		return appendDecide(nil, d), err
	case kindResolve:
		s, err := decodeResolve(data)
		return appendResolve(nil, s), err
	}
	if kind == kindAlarm {
		c, err := decodeAlarmChange(data)
		return appendAlarmChange(nil, c)[1:], err
	}
	list, err := decodeForget(data)
	return appendForget(nil, list), err
}

func someRecords() map[byte][]byte {
	return map[byte][]byte{
		kindPrepare: appendPrepare(nil, somePrepare),
		kindDecide:  appendDecide(nil, someDecide),
		kindResolve: appendResolve(nil, someResolve),
		kindForget:  appendForget(nil, someForgotten),
		kindAlarm:   appendAlarmChange(nil, someChange)[1:],
	}
}

// TestRecords decodes what was encoded, and nothing that was cut or goes on.
func TestRecords(t *testing.T) {
	for kind, data := range someRecords() {
		encoded, err := again(kind, data)
		if err != nil || !bytes.Equal(encoded, data) {
			t.Errorf("kind %d: %x comes out as %x, %v", kind, data, encoded, err)
		}
		for i := range data {
			if _, err := again(kind, data[:i]); err == nil {
				t.Errorf("kind %d: %d of %d bytes are taken", kind, i, len(data))
			}
		}
		if _, err := again(kind, append(bytes.Clone(data), 0)); err == nil {
			t.Errorf("kind %d: a byte too many is taken", kind)
		}
	}
}

func FuzzRecords(f *testing.F) {
	for kind, data := range someRecords() {
		f.Add(kind, data)
	}
	f.Fuzz(func(t *testing.T, kind byte, data []byte) {
		encoded, err := again(kind, data)
		if err != nil {
			return
		}
		twice, err := again(kind, encoded)
		if err != nil || !bytes.Equal(encoded, twice) {
			t.Errorf("kind %d: %x comes out as %x, %v", kind, encoded, twice, err)
		}
	})
}
