package sim

import (
	"fmt"
	"math/rand/v2"

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

func newKeys(count, shards int) *keys {
	k := &keys{perShard: make([][][]byte, shards)}
	for i := range shards {
		if i > 0 {
			k.splits = append(k.splits, fmt.Appendf(nil, "%c", 'a'+i))
		}
		for j := range max(2, count/shards) {
			key := fmt.Appendf(nil, "%c%02d", 'a'+i, j)
			k.perShard[i] = append(k.perShard[i], key)
			k.all = append(k.all, key)
		}
	}
	return k
}

// pick is a key of a shard; low ones come more often.
func (k *keys) pick(rng *rand.Rand, shard int) []byte {
	list := k.perShard[shard]
	return list[min(rng.IntN(len(list)), rng.IntN(len(list)))]
}

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
	switch rng.IntN(4) {
	case 0:
		return kv.Range{}
	case 1:
		return k.within(rng, k.shard(rng))
	}
	a, b := k.all[rng.IntN(len(k.all))], k.all[rng.IntN(len(k.all))]
	if string(a) > string(b) {
		a, b = b, a
	}
	return kv.Range{Start: a, End: b}
}
