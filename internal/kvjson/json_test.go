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

// pairs are those that JSON may hurt.
var pairs = []kv.KeyValue{
	{Key: []byte("a"), Value: []byte{}},
	{Key: []byte{0}, Value: []byte{0xff}},
	{Key: []byte{0xff, 0xfe}, Value: []byte("\"\\/\b\f\n\r\t\x1f\x7f<>&'")},
	{Key: []byte("é😀\u2028\ufffd"), Value: []byte("\xed\xa0\x80")},
	{Key: []byte("a\xc3"), Value: []byte("{\"key\":\"b\"}"), Lease: 1 << 62},
	{
		Key: []byte("k"), Value: []byte("v"), CreateRevision: 1,
		ModRevision: kv.RevisionMax, Version: 1 << 52,
	},
}

func TestKeyValueRoundTrip(t *testing.T) {
	for _, want := range pairs {
		for _, keysOnly := range []bool{false, true} {
			text := kvjson.AppendKeyValue(nil, &want, keysOnly)
			var j kvjson.KeyValue
			if err := kvjson.Decode(text, &j); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			got, err := j.Decode()
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			want := want
			if keysOnly {
				want.Value = nil
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s stands for %+v, was made of %+v", text, got, want)
			}
		}
	}
}

// TestOthersReadIt: what is written by hand is what encoding/json reads.
func TestOthersReadIt(t *testing.T) {
	for _, pair := range pairs {
		text := kvjson.AppendKeyValue(nil, &pair, false)
		var m map[string]any
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if key, ok := m["key"]; ok && key != string(pair.Key) {
			t.Errorf("%s: the key is %q, was %q", text, key, pair.Key)
		}
		if _, inBase64 := m["key_base64"]; inBase64 == (m["key"] != nil) {
			t.Errorf("%s: the key is there twice, or not at all", text)
		}
	}
}

func TestTxnRoundTrip(t *testing.T) {
	for seed := range uint64(500) {
		want := randomTxn(rand.New(rand.NewPCG(seed, 1)), 0)
		text, err := kvjson.NewTxn(&want).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		var j kvjson.Txn
		if err := kvjson.Decode(text, &j); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		got, err := j.Decode()
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s\nstands for  %+v\nwas made of %+v", text, got, want)
		}
	}
}

func randomTxn(rng *rand.Rand, depth int) kv.TxnRequest {
	var req kv.TxnRequest
	for range rng.IntN(3) {
		req.Compares = append(req.Compares, randomCompare(rng))
	}
	for range rng.IntN(3) {
		req.Success = append(req.Success, randomOp(rng, depth))
	}
	for range rng.IntN(2) {
		req.Failure = append(req.Failure, randomOp(rng, depth))
	}
	return req
}

func randomCompare(rng *rand.Rand) kv.Compare {
	c := kv.Compare{
		Key:      randomBytes(rng, 1),
		Target:   kv.Target(rng.IntN(5)),
		Relation: kv.Relation(rng.IntN(4)),
	}
	switch rng.IntN(3) {
	case 0:
		c.RangeEnd = []byte{0}
	case 1:
		c.RangeEnd = randomBytes(rng, 2)
	}
	if keys := c.Keys(); kvjson.IsPoint(keys) {
		c.RangeEnd = nil
	}
	if c.Target == kv.CompareValue {
		c.Value = randomBytes(rng, 0)
	} else {
		c.Number = rng.Int64() - rng.Int64()
	}
	return c
}

func randomOp(rng *rand.Rand, depth int) kv.Op {
	flag := func() bool { return rng.IntN(2) == 0 }
	switch n := rng.IntN(4); {
	case n == 0:
		return kv.Op{Range: &kv.RangeRequest{
			Range: randomRange(rng), Limit: rng.IntN(5), BytesMax: rng.IntN(5),
			Revision: kv.Revision(rng.IntN(9)), KeysOnly: flag(), CountOnly: flag(),
			WantCount: flag(), Reverse: flag(),
		}}
	case n == 1:
		put := &kv.PutRequest{
			Key: randomBytes(rng, 0), Lease: kv.LeaseID(rng.Int64()), PrevKV: flag(),
			IgnoreValue: flag(), IgnoreLease: flag(),
		}
		if !put.IgnoreValue {
			put.Value = randomBytes(rng, 0)
		}
		return kv.Op{Put: put}
	case n == 2 && depth < 3:
		nested := randomTxn(rng, depth+1)
		return kv.Op{Txn: &nested}
	}
	return kv.Op{Delete: &kv.DeleteRequest{Range: randomRange(rng), PrevKV: flag()}}
}

func randomRange(rng *rand.Rand) kv.Range {
	start := randomBytes(rng, 0)
	switch rng.IntN(3) {
	case 0:
		return kv.PointRange(append(start, 'x'))
	case 1:
		return kv.Range{Start: start}
	}
	return kv.Range{Start: start, End: randomBytes(rng, 1)}
}

func randomBytes(rng *rand.Rand, least int) []byte {
	b := make([]byte, least+rng.IntN(4))
	for i := range b {
		b[i] = []byte{0, 'a', '"', '\\', 0x7f, 0x80, 0xc3, 0xff}[rng.IntN(8)]
	}
	return b
}

func TestEmptyRangeStaysEmpty(t *testing.T) {
	none := kv.Range{Start: []byte("a"), End: []byte{}}
	req := kv.TxnRequest{Success: []kv.Op{{Delete: &kv.DeleteRequest{Range: none}}}}
	got, err := kvjson.NewTxn(&req).Decode()
	if err != nil {
		t.Fatal(err)
	}
	if keys := got.Success[0].Delete.Range; !keys.Empty() {
		t.Errorf("a range without keys became %v", keys)
	}
}

// TestErrorsKeepTheirSentinel: through a problem and back.
func TestErrorsKeepTheirSentinel(t *testing.T) {
	for _, kind := range kvjson.Kinds() {
		p := kind.New("what happened")
		err := p.Err()
		switch {
		case kind.Err == nil && err != nil:
			t.Errorf("%s became %v", kind.Code, err)
		case kind.Err != nil && !errors.Is(err, kind.Err):
			t.Errorf("%s became %v", kind.Code, err)
		case err != nil && err.Error() != "what happened":
			t.Errorf("%s says %q", kind.Code, err)
		}
		if kind.Err != nil && kvjson.KindOf(kind.Err).Code != kind.Code {
			t.Errorf("%v is of the kind %s", kind.Err, kvjson.KindOf(kind.Err).Code)
		}
	}
	both := errors.Join(kv.ErrTimeout, kv.ErrUncertain)
	if code := kvjson.KindOf(both).Code; code != "uncertain" {
		t.Errorf("a timeout that is uncertain is of the kind %s", code)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{"key":"\ud800"}`:        "half a surrogate pair",
		`{"key":"\udc00\ud800"}`:  "half a surrogate pair",
		`{"key":"\ud800\ud800"}`:  "half a surrogate pair",
		`{"key":"\ud800x\udc00"}`: "half a surrogate pair",
		"{\"key\":\"\xff\"}":      "not valid UTF-8",
		`{"kye":"a"}`:             `unknown field "kye"`,
		`{"key":"a"}x`:            "goes on",
		`{"key":"a"`:              "in the middle",
		``:                        "empty",
		`{"key":1}`:               "key is a number, it must be a string",
	} {
		err := kvjson.Decode([]byte(text), &kvjson.KeyValue{})
		if !errors.Is(err, kv.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	for _, text := range []string{
		`{"key":"\ud83d\ude00"}`, `{"key":"\\ud800"}`, `{"key":"\\\\ud800 \u00e4"}`, ` {} `,
	} {
		if err := kvjson.Decode([]byte(text), &kvjson.KeyValue{}); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestMisfits: a value of the wrong type is named with its place, what it is and
// what is wanted there.
func TestMisfits(t *testing.T) {
	const (
		anyNumber = "it must be a whole number from 0 to 9223372036854775807"
		revision  = "it must be a whole number from 0 to 9007199254740991"
		ttl       = "it must be a whole number from 0 to 9000000000"
		floor     = "it must be a whole number from 1 to 9007199254740991"
	)
	for _, test := range []struct {
		into       any
		text, want string
	}{
		{&kvjson.Txn{}, `[]`, "the body is an array, it must be an object"},
		{&kvjson.Txn{}, ` null `, "the body is null, it must be an object"},
		{&kvjson.Txn{}, `"x"`, "the body is a string, it must be an object"},
		{&kvjson.Txn{}, `{"then":{}}`, "then is an object, it must be an array"},
		{&kvjson.Txn{}, `{"else":[{}, 1]}`, "else 1 is a number, it must be an object"},
		{
			&kvjson.Txn{}, `{"compare":[],"then":[{"get":{}},{"put":{"key":"then","value":[]}}]}`,
			"then 1: put: invalid request: value is an array, it must be a string",
		},
		{
			&kvjson.Txn{}, `{"then":[{"txn":{"else":[{},{"get":{"limit":1.5}}]}}]}`,
			"then 0: txn: else 1: get: invalid request: limit is 1.5, " + anyNumber,
		},
		{&kvjson.Txn{}, `{"then":[{"get":{"key":"a","revision":"1"}}]}`, revision},
		{
			&kvjson.Txn{}, `{"then":[{"get":{"count":1}}]}`,
			"count is a number, it must be true or false",
		},
		{
			&kvjson.Txn{}, `{"then":[{"put":{"lease":9223372036854775808}}]}`,
			"put: invalid request: lease is 9223372036854775808, " + anyNumber + " (63 bits)",
		},
		{&kvjson.KeyValue{}, `{"key":true}`, "key is true or false, it must be a string"},
		{&kvjson.Grant{}, `{"ttl":"60"}`, "invalid request: ttl is a string, " + ttl},
		{&kvjson.Grant{}, `{"ttl":1.5}`, "ttl is 1.5, " + ttl},
		{&kvjson.Grant{}, `{"ttl":100000000000000000000}`, "is 100000000000000000000, " + ttl},
		{&kvjson.Grant{}, `{"ttl":1` + strings.Repeat("0", 99) + `}`, "000…, " + ttl},
		{&kvjson.Grant{}, `{"ttl":60,"id":{}}`, "id is {}, " + anyNumber + " (63 bits)"},
		{&kvjson.Compact{}, `{"revision":[]}`, "revision is an array, " + floor},
	} {
		err := kvjson.Decode([]byte(test.text), test.into)
		if !errors.Is(err, kv.ErrInvalid) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.text, err, test.want)
		}
	}
}

// FuzzTxn: whatever is accepted says the same when it is written again.
func FuzzTxn(f *testing.F) {
	f.Add([]byte(`{"compare":[{"key":"a","target":"version","op":"=","value":0}],` +
		`"then":[{"put":{"key_base64":"/w==","value":"v","prev":true}}],` +
		`"else":[{"get":{"prefix":"a"}},{"delete":{"start":"a","end":"b"}},{"txn":{}}]}`))
	f.Add([]byte(`{"compare":[{"prefix":"","target":"value","op":">","value_base64":"AA=="}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var j kvjson.Txn
		if kvjson.Decode(text, &j) != nil {
			return
		}
		req, err := j.Decode()
		if err != nil {
			if !errors.Is(err, kv.ErrInvalid) {
				t.Fatalf("%v does not wrap ErrInvalid", err)
			}
			return
		}
		again, err := kvjson.NewTxn(&req).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		var j2 kvjson.Txn
		if err := kvjson.Decode(again, &j2); err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		req2, err := j2.Decode()
		if err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		third, err := kvjson.NewTxn(&req2).Marshal()
		if err != nil || string(third) != string(again) {
			t.Fatalf("%s became %s (%v)", again, third, err)
		}
	})
}

// FuzzKeyValue: any bytes survive.
func FuzzKeyValue(f *testing.F) {
	for _, pair := range pairs {
		f.Add(pair.Key, pair.Value)
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		pair := kv.KeyValue{Key: key, Value: value}
		var j kvjson.KeyValue
		if err := kvjson.Decode(kvjson.AppendKeyValue(nil, &pair, false), &j); err != nil {
			t.Fatal(err)
		}
		got, err := j.Decode()
		if err != nil || string(got.Key) != string(key) || string(got.Value) != string(value) {
			t.Fatalf("%q = %q became %q = %q (%v)", key, value, got.Key, got.Value, err)
		}
	})
}
