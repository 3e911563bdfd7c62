package kvtest

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/miruvor/miruvor/internal/kv"
)

// odd lists keys that a careless encoding, router or path cleaner changes.
func odd() []string {
	return []string{
		"\x00", "\x00\x00", "\x00\xff", "\x00\x01", "\x01", "\xff", "\xff\xff", "\xff\x00",
		"/", "//", "/a", "a/", "a//b", ".", "..", "../", "a/../b", "a/./b", "/..", "./",
		" ", "a b", "+", "a+b", "%", "%2F", "%2f", "%252F", "%00", "?", "a?b=c", "#", "a#b",
		"&", "a=b", ";", "\"", "'", "\\", "\n", "\r\n", "\t", "a\x00b", "a\x00",
		"<>", "~", "*", ":",
		"\u00e4", "a\u0308", "\u2028", "\ufffd", "\ufeff", "\U0001f600", "\xc3", "\xed\xa0\x80",
		"\xfe\xff", "v1/kv", "CON", "{key}", "$", "a\x7f", strings.Repeat("/", 300),
	}
}

// oddKeys puts each odd key, bare and under Prefix, and then finds exactly
// those, each with its own value.
func oddKeys(c *testCase) {
	want := map[string]string{}
	for i, bare := range odd() {
		for _, key := range [...]string{bare, Prefix + bare} {
			want[key] = fmt.Sprintf("%d of %q", i, key)
			resp := c.mustWrite(putOf([]byte(key), []byte(want[key])))
			if version := resp.Results[0].Put.Version; version != 1 {
				c.Fatalf("%q was there already, at version %d", key, version)
			}
		}
	}
	for key, value := range want {
		got := c.mustRange(kv.RangeRequest{Range: kv.PointRange([]byte(key))})
		if len(got.KVs) != 1 || string(got.KVs[0].Key) != key ||
			string(got.KVs[0].Value) != value {
			c.Fatalf("%q reads as %s", key, printedKVs(got.KVs, c.start))
		}
	}
	c.checkOrder(len(want))
	c.deleteOddKeys(want)
}

func (c *testCase) checkOrder(want int) {
	all := c.mustRange(kv.RangeRequest{WantCount: true}).KVs
	if len(all) != want {
		c.Fatalf("%d keys, want %d", len(all), want)
	}
	for i := 1; i < len(all); i++ {
		if bytes.Compare(all[i-1].Key, all[i].Key) >= 0 {
			c.Fatalf("%q stands before %q", all[i-1].Key, all[i].Key)
		}
	}
}

func (c *testCase) deleteOddKeys(want map[string]string) {
	left := len(want)
	for key := range want {
		resp := c.mustWrite(deleteOf(kv.PointRange([]byte(key))))
		left--
		if n := resp.Results[0].Delete.Deleted; n != 1 {
			c.Fatalf("deleting %q deleted %d keys", key, n)
		}
		if n := c.mustRange(kv.RangeRequest{CountOnly: true}).Count; n != int64(left) {
			c.Fatalf("%d keys left after deleting %q, want %d", n, key, left)
		}
	}
}

// oddValues checks that values are bytes, and that compares and previous
// versions carry them unchanged.
func oddValues(c *testCase) {
	k := key("value")
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	values := append(odd(), string(all), "", strings.Repeat("\x00", 5000))
	for _, value := range values {
		c.mustWrite(putOf(k, []byte(value)))
		resp := c.mustWrite(kv.TxnRequest{
			Compares: []kv.Compare{{Key: k, Target: kv.CompareValue, Value: []byte(value)}},
			Success: []kv.Op{
				{Range: &kv.RangeRequest{Range: kv.PointRange(k)}},
				{Put: &kv.PutRequest{Key: k, Value: []byte("next"), PrevKV: true}},
			},
		})
		if !resp.Succeeded {
			c.Fatalf("the value %q does not compare equal to itself", value)
		}
		if got := resp.Results[0].Range.KVs[0].Value; string(got) != value {
			c.Fatalf("the value %q reads as %q", value, got)
		}
		if got := resp.Results[1].Put.Prev.Value; string(got) != value {
			c.Fatalf("the value %q was %q before", value, got)
		}
	}
}

// longKeys puts, reads and deletes the longest key.
func longKeys(c *testCase) {
	long := longestKey()
	c.mustWrite(putOf(long, []byte("v")))
	got := c.mustRange(kv.RangeRequest{Range: kv.PointRange(long)})
	if len(got.KVs) != 1 || !bytes.Equal(got.KVs[0].Key, long) {
		c.Fatal("the longest key cannot be read back")
	}
	w := c.newWatcher().mustAdd(kv.WatchRequest{Range: kv.PointRange(long)})
	c.mustWrite(deleteOf(kv.PointRange(long)))
	w.mustTell(1)
	if !bytes.Equal(w.events[0].KV.Key, long) {
		c.Fatal("the longest key cannot be watched")
	}
}

// tooLongKeys holds the bound on keys.
func tooLongKeys(c *testCase) {
	over := append(longestKey(), 'x')
	_, err := c.store.Txn(c.ctx, putOf(over, nil))
	c.mustFail(err, kv.ErrInvalid, "put a key over the bound")
	_, err = c.store.Txn(c.ctx, deleteOf(kv.PointRange(over)))
	c.mustFail(err, kv.ErrInvalid, "delete a key over the bound")
	_, err = c.store.Range(c.ctx, kv.RangeRequest{Range: kv.PointRange(over)})
	c.mustFail(err, kv.ErrInvalid, "read a key over the bound")
	_, err = c.store.Txn(c.ctx, kv.TxnRequest{Compares: []kv.Compare{{Key: over}}})
	c.mustFail(err, kv.ErrInvalid, "compare a key over the bound")
	_, err = c.newWatcher().add(kv.WatchRequest{Range: kv.PointRange(over)})
	c.mustFail(err, kv.ErrInvalid, "watch a key over the bound")
}

func longestKey() []byte {
	long := make([]byte, kv.DefaultLimits.KeyBytesMax)
	copy(long, Prefix)
	for i := len(Prefix); i < len(long); i++ {
		long[i] = byte(i * 7)
	}
	return long
}
