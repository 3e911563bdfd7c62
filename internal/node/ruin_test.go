package node

import (
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
		r := &ruin{of: e, rng: rng, files: maps.Clone(e.files)}
		did := r.strike()
		if did == "" {
			continue
		}
		what := fmt.Sprintf("seed %d %s, %d shards: %s", seed, e.name, e.shards, did)
		end := e.judge(t, what, r)
		tally[kindOf(r.name)+": "+end]++
	}
	for _, line := range slices.Sorted(maps.Keys(tally)) {
		t.Log(line, tally[line])
	}
}

// strike damages one file, or several. What it says of several is in one line.
func (r *ruin) strike() string {
	count := 1
	if r.rng.IntN(4) == 0 {
		count += 1 + r.rng.IntN(3)
	}
	var did []string
	for range count {
		r.name = (&estate{files: r.files}).pick(r.rng)
		if count > 1 && isNote(r.name) {
			continue // a note and what it speaks of must not both be bad
		}
		if what := ruinings[r.rng.IntN(len(ruinings))](r); what != "" {
			did = append(did, r.name+" "+what)
		}
	}
	return strings.Join(did, ", ")
}

// isNote tells those files that only say what others have to be.
func isNote(name string) bool {
	return strings.HasSuffix(name, "/SYNCED") || strings.HasSuffix(name, "/TABLES")
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
