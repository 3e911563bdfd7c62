package bench

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestBucketsTileTheNumbers(t *testing.T) {
	for i := range powers*bucketsPerPower - 1 {
		end := bucketEnd(i)
		if got := bucketOf(end); got != i {
			t.Fatalf("bucket %d ends at %d, which lies in bucket %d", i, end, got)
		}
		if got := bucketOf(end + 1); got != i+1 {
			t.Fatalf("%d lies in bucket %d, want %d", end+1, got, i+1)
		}
	}
}

func TestQuantilesAreCloseToThoseOfTheSortedList(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var h histogram
	var all []time.Duration
	for range 20_000 {
		d := time.Duration(random.ExpFloat64() * float64(time.Millisecond))
		h.add(d)
		all = append(all, d)
	}
	slices.Sort(all)
	for _, q := range []float64{0.001, 0.5, 0.9, 0.99, 0.999, 1} {
		want := all[max(int(q*float64(len(all))+0.5), 1)-1]
		got := h.quantile(q)
		if got < want || float64(got) > float64(want)*(1+1.0/bucketsPerPower)+1 {
			t.Errorf("quantile %v is %v, the list says %v", q, got, want)
		}
	}
	if got, want := h.quantile(1), all[len(all)-1]; got != want || h.max != want {
		t.Errorf("the longest is %v and %v, want %v", got, h.max, want)
	}
}

func TestMergedHistogramsAreOne(t *testing.T) {
	var a, b, whole histogram
	for i := range 1000 {
		d := time.Duration(i) * time.Microsecond
		whole.add(d)
		if i%3 == 0 {
			a.add(d)
		} else {
			b.add(d)
		}
	}
	a.merge(&b)
	if a != whole {
		t.Error("the merged histogram differs from that of all durations")
	}
}

func TestAnEmptyOrExtremeHistogramHasQuantiles(t *testing.T) {
	var h histogram
	if h.quantile(0.5) != 0 || h.mean() != 0 {
		t.Error("an empty histogram shows a duration")
	}
	h.add(300 * time.Hour)
	h.add(-time.Second)
	if got := h.quantile(0.99); got != 300*time.Hour {
		t.Errorf("the quantile is %v, want the longest, 300h", got)
	}
	if got := h.quantile(0.5); got != 0 {
		t.Errorf("a negative duration counts as %v, want 0", got)
	}
}
