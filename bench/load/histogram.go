package load

import (
	"math/bits"
	"time"
)

// Each power of two of nanoseconds is cut in 32 buckets, so a quantile is at most 3 % too high.
const (
	powerBits = 5
	buckets   = (42 - powerBits) << powerBits // to an hour; what is longer counts there
)

// Histogram counts durations. The zero value is empty and ready.
type Histogram struct {
	counts [buckets]int64
	count  int64
}

func (h *Histogram) add(d time.Duration) {
	h.counts[bucketOf(uint64(max(d, 0)))]++
	h.count++
}

func (h *Histogram) merge(o *Histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.count += o.count
}

// Quantile is the upper end of the bucket in which the fraction q of all durations is reached; 0
// if there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := max(int64(q*float64(h.count)+0.5), 1)
	seen := int64(0)
	for i, n := range h.counts {
		if seen += n; seen >= rank {
			return time.Duration(bucketEnd(i))
		}
	}
	return 0
}

func bucketOf(n uint64) int {
	if n < 1<<powerBits {
		return int(n)
	}
	shift := bits.Len64(n) - powerBits - 1
	return min(shift<<powerBits+int(n>>shift), buckets-1)
}

// bucketEnd is the highest number in bucket i.
func bucketEnd(i int) uint64 {
	if i < 1<<powerBits {
		return uint64(i)
	}
	shift := i>>powerBits - 1
	return uint64(i-shift<<powerBits+1)<<shift - 1
}
