package node

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
)

var (
	ruins = flag.Int("ruins", 0, "how many directories to ruin at random, instead of a few")
	// The seed of a failure repeats it, with -ruins 1.
	ruinFirst = flag.Uint64("ruin-first", 1, "seed of the first")
	ruinOnly  = flag.String("ruin-only", "", "only files whose names hold that")
)

// ruin is damage that is done to a file of a directory.
type ruin struct {
	rng   *rand.Rand
	files map[string][]byte
	name  string
}

// ruinings are the ways to ruin a file. Each says what it did, "" if that is not
// possible with this file.
var ruinings = []func(*ruin) string{
	(*ruin).flip, (*ruin).truncate, (*ruin).remove, (*ruin).zero, (*ruin).repeat, (*ruin).swap,
	(*ruin).exchange, (*ruin).lengthen,
}

func (r *ruin) flip() string {
	data := bytes.Clone(r.files[r.name])
	if len(data) == 0 {
		return ""
	}
	at, bit := r.rng.IntN(len(data)), r.rng.IntN(8)
	data[at] ^= 1 << bit
	r.files[r.name] = data
	return fmt.Sprintf("flips bit %d of byte %d", bit, at)
}

func (r *ruin) truncate() string {
	data := r.files[r.name]
	if len(data) == 0 {
		return ""
	}
	n := r.rng.IntN(len(data))
	r.files[r.name] = data[:n]
	return fmt.Sprintf("cuts at %d of %d", n, len(data))
}

func (r *ruin) remove() string {
	delete(r.files, r.name)
	return "removes it"
}

func (r *ruin) lengthen() string {
	more := make([]byte, 1+r.rng.IntN(5000))
	for i := range more {
		more[i] = byte(r.rng.Uint32())
	}
	r.files[r.name] = append(bytes.Clone(r.files[r.name]), more...)
	return fmt.Sprintf("adds %d bytes", len(more))
}

// block is the place of a random block of the file, and its size.
func (r *ruin) block(size int) int {
	return r.rng.IntN((len(r.files[r.name])+size-1)/size) * size
}

func (r *ruin) blockSize() int { return []int{512, 4096}[r.rng.IntN(2)] }

func (r *ruin) zero() string {
	data, size := bytes.Clone(r.files[r.name]), r.blockSize()
	if len(data) == 0 {
		return ""
	}
	at := r.block(size)
	clear(data[at:min(at+size, len(data))])
	r.files[r.name] = data
	return fmt.Sprintf("zeroes %d bytes at %d", size, at)
}

func (r *ruin) repeat() string {
	data, size := bytes.Clone(r.files[r.name]), r.blockSize()
	if len(data) == 0 {
		return ""
	}
	from, to := r.block(size), r.block(size)
	copy(data[to:], r.files[r.name][from:min(from+size, len(data))])
	r.files[r.name] = data
	return fmt.Sprintf("copies %d bytes at %d to %d", size, from, to)
}

func (r *ruin) swap() string {
	data, size := bytes.Clone(r.files[r.name]), r.blockSize()
	if len(data) == 0 {
		return ""
	}
	a, b := r.block(size), r.block(size)
	n := min(size, len(data)-max(a, b))
	copy(data[a:a+n], r.files[r.name][b:])
	copy(data[b:b+n], r.files[r.name][a:])
	r.files[r.name] = data
	return fmt.Sprintf("swaps %d bytes at %d and %d", n, a, b)
}

// exchange swaps two files of a kind.
func (r *ruin) exchange() string {
	var others []string
	for _, other := range slices.Sorted(maps.Keys(r.files)) {
		if other != r.name && kindOf(other) == kindOf(r.name) {
			others = append(others, other)
		}
	}
	if len(others) == 0 {
		return ""
	}
	other := others[r.rng.IntN(len(others))]
	r.files[r.name], r.files[other] = r.files[other], r.files[r.name]
	return "exchanges it with " + other
}

// TestRuins damages one file of a node's directory after another, at random. A
// node that starts on it has all that was acknowledged, or it refuses and names a
// file and an offset; then a check finds it as well.
func TestRuins(t *testing.T) {
	count := cmp.Or(*ruins, 24)
	if testing.Short() {
		count = 6
	}
	estates := newEstates(t)
	tally := map[string]int{}
	for seed := *ruinFirst; seed < *ruinFirst+uint64(count); seed++ {
		rng := rand.New(rand.NewPCG(seed, 0))
		e := estates[rng.IntN(len(estates))]
		r := &ruin{rng: rng, files: maps.Clone(e.files), name: e.pick(rng)}
		did := ruinings[rng.IntN(len(ruinings))](r)
		if did == "" {
			continue
		}
		what := fmt.Sprintf("seed %d %s: %s %s", seed, e.name, r.name, did)
		end := e.judge(t, what, r)
		tally[kindOf(r.name)+": "+end]++
	}
	for _, line := range slices.Sorted(maps.Keys(tally)) {
		t.Log(line, tally[line])
	}
}

// pick is a file: each kind has the same chance.
func (e *estate) pick(rng *rand.Rand) string {
	byKind := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(e.files)) {
		if strings.Contains(name, *ruinOnly) {
			byKind[kindOf(name)] = append(byKind[kindOf(name)], name)
		}
	}
	kinds := slices.Sorted(maps.Keys(byKind))
	names := byKind[kinds[rng.IntN(len(kinds))]]
	return names[rng.IntN(len(names))]
}

// judge checks what is left and starts a node on it. It returns how that ended.
func (e *estate) judge(t *testing.T, what string, r *ruin) string {
	t.Helper()
	problems, err := check(diskWith(t, r.files), estateDir, nil)
	found := fmt.Sprint(problems, err)
	sound := err == nil && len(problems) == 0
	var refused, wrong error
	for range 3 { // on a busy machine a whole directory may take more than a request's time
		refused, wrong = e.revive(t.Context(), diskWith(t, r.files))
		if !errors.Is(refused, kv.ErrTimeout) {
			break
		}
	}
	switch {
	case wrong != nil:
		t.Errorf("%s: %v; the check says %s", what, wrong, found)
		return "wrong"
	case refused == nil && sound:
		return "whole, nothing found"
	case refused == nil:
		return "whole, and found"
	case sound:
		t.Errorf("%s: the check finds nothing, but the node says %v", what, refused)
	case !errors.Is(refused, kv.ErrCorrupt), !namesPlace(refused.Error()), !namesPlace(found):
		t.Errorf("%s: refused with %v; the check says %s", what, refused, found)
	}
	return "refused, and found"
}

// namesPlace reports whether a text names a file of the directory and an offset.
func namesPlace(text string) bool {
	return strings.Contains(text, estateDir+"/") && strings.Contains(text, "at offset ")
}
