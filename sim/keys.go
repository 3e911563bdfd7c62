package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
)

// keys are the keys that clients work on: a few for each shard, of which the first
// ones are hot.
type keys struct {
	all [][]byte
	// perShard are the keys of each shard, splits the first of each but one.
	perShard [][][]byte
	splits   [][]byte
}

// newKeys makes them. With odd, some hold bytes that an encoding could trip over, and
// some lie before and behind all others.
func newKeys(count, shards int, odd bool) *keys {
	k := &keys{perShard: make([][][]byte, shards)}
	for i := range shards {
		if i > 0 {
			k.splits = append(k.splits, fmt.Appendf(nil, "%c", 'a'+i))
		}
		for j := range max(2, count/shards) {
			key := fmt.Appendf(nil, "%c%02d%s", 'a'+i, j, oddEnds[j%len(oddEnds)])
			switch {
			case odd && j == 1 && i == 0:
				key = []byte{0}
			case odd && j == 1 && i == shards-1:
				key = []byte{0xff, 0xff}
			case j == 2 && i > 0:
				key = k.splits[i-1] // just where the shard begins
			}
			k.perShard[i] = append(k.perShard[i], key)
			k.all = append(k.all, key)
		}
	}
	return k
}

// oddEnds are what some keys end in. None brings a key behind those of the tasks.
var oddEnds = [...]string{"", "\x00", "", "\xff", "\x00\x01", "\x00\xff", ""}

// pick is a key of a shard; low ones come more often.
func (k *keys) pick(rng *rand.Rand, shard int) []byte {
	list := k.perShard[shard]
	return list[min(rng.IntN(len(list)), rng.IntN(len(list)))]
}

// none is a key of the last shard that nobody ever writes.
func (k *keys) none() []byte { return append(slices.Clone(k.all[len(k.all)-1]), "~none"...) }

func (k *keys) shard(rng *rand.Rand) int { return rng.IntN(len(k.perShard)) }

// within is a range of keys inside a shard.
func (k *keys) within(rng *rand.Rand, shard int) kv.Range {
	a, b := k.pick(rng, shard), k.pick(rng, shard)
	if string(a) > string(b) {
		a, b = b, a
	}
	return kv.Range{Start: a, End: append(append([]byte(nil), b...), 0)}
}

// anywhere is a range of keys over any shards.
func (k *keys) anywhere(rng *rand.Rand) kv.Range {
	switch rng.IntN(12) {
	case 0, 1:
		return kv.Range{}
	case 2, 3:
		return k.within(rng, k.shard(rng))
	case 4:
		return k.oddRange(rng)
	}
	a, b := k.all[rng.IntN(len(k.all))], k.all[rng.IntN(len(k.all))]
	if string(a) > string(b) {
		a, b = b, a
	}
	return kv.Range{Start: a, End: b}
}

// oddRange is a range that somebody may ask for, though it is strange: empty, reversed,
// behind all keys, of one prefix, or without a bound.
func (k *keys) oddRange(rng *rand.Rand) kv.Range {
	a, b := k.all[rng.IntN(len(k.all))], k.all[rng.IntN(len(k.all))]
	if string(a) < string(b) {
		a, b = b, a
	}
	switch rng.IntN(6) {
	case 0:
		return kv.Range{Start: a, End: a}
	case 1:
		return kv.Range{Start: a, End: b}
	case 2:
		return kv.Range{Start: []byte{0xff, 0xff, 0xff}}
	case 3:
		return kv.PrefixRange([]byte{0xff})
	case 4:
		return kv.PrefixRange(a[:1+rng.IntN(len(a))])
	}
	return kv.Range{Start: a}
}
