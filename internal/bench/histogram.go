package bench

import (
	"math/bits"
	"time"
)

// The buckets of a histogram: each power of two of nanoseconds is cut into
// bucketsPerPower equal parts, so a bucket is at most 1/32 wide of its value.
const (
	powerBits       = 5
	bucketsPerPower = 1 << powerBits
	// powers reach to 2^42 ns, more than an hour; what is longer counts there.
	powers = 42 - powerBits
)

// histogram counts durations in buckets of fixed relative width. The zero
// histogram is empty and ready.
type histogram struct {
	counts [powers * bucketsPerPower]int64
	count  int64
	sum    time.Duration
	max    time.Duration
}

func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(uint64(d))]++
	h.count++
	h.sum += d
	h.max = max(h.max, d)
}

func (h *histogram) merge(o *histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.count += o.count
	h.sum += o.sum
	h.max = max(h.max, o.max)
}

func (h *histogram) mean() time.Duration {
	if h.count == 0 {
		return 0
	}
	return h.sum / time.Duration(h.count)
}

// quantile is the upper bound of the bucket in which the fraction q of all
// durations is reached, never above the longest; 0 if there are none.
func (h *histogram) quantile(q float64) time.Duration {
	rank := max(int64(q*float64(h.count)+0.5), 1)
	seen := int64(0)
	for i, n := range h.counts {
		if seen += n; seen >= rank {
			if i == len(h.counts)-1 {
				break
			}
			return min(time.Duration(bucketEnd(i)), h.max)
		}
	}
	return h.max
}

func bucketOf(n uint64) int {
	if n < bucketsPerPower {
		return int(n)
	}
	shift := bits.Len64(n) - powerBits - 1
	return min(shift<<powerBits+int(n>>shift), powers*bucketsPerPower-1)
}

// bucketEnd is the highest number in bucket i.
func bucketEnd(i int) uint64 {
	if i < bucketsPerPower {
		return uint64(i)
	}
	shift := i>>powerBits - 1
	base := uint64(i - shift<<powerBits)
	return (base+1)<<shift - 1
}
