package load

import (
	"fmt"
	"slices"
)

// Keys is the population that all workloads use, in ascending order. Its first 16 bytes are
// hexadecimal digits spread evenly, so shards that part the digits evenly have equal parts of it.
type Keys [][]byte

// NewKeys makes the same count keys each time, all of 24 bytes.
func NewKeys(count int) Keys {
	keys := make(Keys, count)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "%016x-%07x", mix(uint64(i)), i)
	}
	slices.SortFunc(keys, slices.Compare)
	return keys
}

// SplitPoints are the keys that part a population of any size in equal shards.
func SplitPoints(shards int) []string {
	points := make([]string, 0, max(shards-1, 0))
	for i := 1; i < shards; i++ {
		points = append(points, fmt.Sprintf("%04x", i<<16/shards))
	}
	return points
}

// mix spreads numbers evenly over 64 bits (the finalizer of splitmix64).
func mix(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}
