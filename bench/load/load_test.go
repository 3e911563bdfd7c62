package load

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestKeysAreSpreadAndAscending(t *testing.T) {
	keys := NewKeys(10_000)
	if !slices.IsSortedFunc(keys, bytes.Compare) {
		t.Error("keys don't ascend")
	}
	for _, shards := range []int{1, 2, 3, 8, 64} {
		counts := make([]int, shards)
		points := SplitPoints(shards)
		for i, key := range keys {
			if i > 0 && bytes.Equal(key, keys[i-1]) {
				t.Fatalf("%q twice", key)
			}
			shard, found := slices.BinarySearch(points, string(key))
			if found {
				shard++
			}
			counts[shard]++
		}
		even := len(keys) / shards
		for shard, n := range counts {
			if n < even/2 || n > even*3/2 {
				t.Errorf("%d of %d shards: %d keys, %d were even", shard, shards, n, even)
			}
		}
	}
}

func TestWatchedKeysAreAboveThePopulation(t *testing.T) {
	if slices.ContainsFunc(NewKeys(100_000), func(key []byte) bool {
		return bytes.Compare(key, watchedKey) >= 0
	}) {
		t.Error("a range of the population may meet watched keys")
	}
	c, r := newChance(testShape(), 1), Request{}
	for range 1000 {
		nextWatchedPut(c, &r)
		if bytes.Compare(r.Key, watchedKey) < 0 || bytes.Compare(r.Key, watchedEnd) >= 0 {
			t.Fatalf("%q is not watched", r.Key)
		}
	}
}

func testShape() *Shape {
	return &Shape{Keys: NewKeys(1000), ValueBytes: 100, Clients: 16, RangeKeys: 50, Watchers: 30}
}

func TestQuantiles(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 {
		t.Error("an empty histogram has a median")
	}
	for i := range 1000 {
		h.add(time.Duration(i+1) * time.Millisecond)
	}
	for _, c := range []struct {
		q    float64
		want time.Duration
	}{
		{0, time.Millisecond},
		{0.5, 500 * time.Millisecond},
		{0.99, 990 * time.Millisecond},
		{1, time.Second},
	} {
		if got := h.Quantile(c.q); got < c.want || got > c.want+c.want/32 {
			t.Errorf("quantile %g: %v, want %v", c.q, got, c.want)
		}
	}
}

func TestBucketsHoldTheirNumbers(t *testing.T) {
	for n := uint64(1); n < 1<<41; n += n/7 + 1 {
		i := bucketOf(n)
		if n > bucketEnd(i) || i > 0 && n <= bucketEnd(i-1) {
			t.Errorf("%d in bucket %d, which ends at %d", n, i, bucketEnd(i))
		}
	}
	if bucketOf(1<<63) != buckets-1 {
		t.Error("the longest is not in the last bucket")
	}
}

func TestHistogramsMerge(t *testing.T) {
	var low, high Histogram
	low.add(time.Microsecond)
	high.add(time.Second)
	low.merge(&high)
	if low.count != 2 || low.Quantile(1) < time.Second {
		t.Errorf("merged: %d, longest %v", low.count, low.Quantile(1))
	}
}

func TestWrongAnswersAreRefused(t *testing.T) {
	get := Request{Kind: Get, Key: []byte("k"), Want: 1}
	right := Answer{Revision: 7, Keys: 1, FirstKey: []byte("k")}
	if err := get.check(&right); err != nil {
		t.Fatal(err)
	}
	txn := Request{Kind: Txn, Key: []byte("k")}
	if err := txn.check(&Answer{Revision: 7, Succeeded: true}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		request Request
		answer  Answer
	}{
		"no revision":   {get, Answer{Keys: 1, FirstKey: []byte("k")}},
		"nothing found": {get, Answer{Revision: 7}},
		"too much":      {get, Answer{Revision: 7, Keys: 2, FirstKey: []byte("k")}},
		"another key":   {get, Answer{Revision: 7, Keys: 1, FirstKey: []byte("l")}},
		"failed txn":    {txn, Answer{Revision: 7}},
		"put with keys": {Request{Kind: Put}, Answer{Revision: 7, Keys: 1}},
	} {
		if c.request.check(&c.answer) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestWatchersHearOfEachPutInOrder(t *testing.T) {
	f := newFanout(&Workload{Watchers: 2})
	s := &watchStream{fanout: f, heard: make([]uint64, 2)}
	for _, step := range []struct {
		watchID int64
		number  uint64
		fails   bool
	}{
		{1, 1, false},
		{2, 1, false},
		{1, 2, false},
		{1, 2, true},
		{1, 4, true},
		{2, 3, true},
		{1, 3, false},
	} {
		f.busy = true // no put follows
		if err := s.deliver(step.watchID, step.number, 0); (err != nil) != step.fails {
			t.Errorf("watcher %d, put %d: %v", step.watchID, step.number, err)
		}
	}
}

// TestWriterWaitsForWatchers: a put may follow while fewer than aheadMax are on their way.
func TestWriterWaitsForWatchers(t *testing.T) {
	f := newFanout(&Workload{Watchers: 10})
	puts := 0
	f.put = func() { puts++ }
	f.proceed()
	f.proceed()
	if puts != 1 {
		t.Fatalf("%d puts before the first is acknowledged", puts)
	}
	for range 10 {
		f.acknowledged()
	}
	if puts != aheadMax {
		t.Errorf("%d puts ahead, want %d", puts, aheadMax)
	}
	f.delivered.Add(10)
	f.proceed()
	if puts != aheadMax+1 {
		t.Errorf("%d puts once one was delivered, want %d", puts, aheadMax+1)
	}
}

func TestWorkloadsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for _, w := range Workloads(testShape()) {
		if seen[w.Name] || w.Title == "" || w.Clients < 1 {
			t.Errorf("workload %+v", w)
		}
		seen[w.Name] = true
	}
	want := []string{"get", "hot", "mixed", "put", "put1", "range", "sget", "txn", "watch"}
	for _, name := range want {
		if !seen[name] {
			t.Errorf("no workload %s", name)
		}
	}
}

func TestMixedIsOneInTenPuts(t *testing.T) {
	c, r, puts := newChance(testShape(), 3), Request{}, 0
	for range 10_000 {
		if nextMixed(c, &r); r.Kind == Put {
			puts++
		}
	}
	if puts < 900 || puts > 1100 {
		t.Errorf("%d puts of 10000", puts)
	}
}

func ExampleSplitPoints() {
	fmt.Println(SplitPoints(4))
	// Output: [4000 8000 c000]
}
