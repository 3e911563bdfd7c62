package node

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// ruin is damage that is done to a file of a directory.
type ruin struct {
	of    *estate
	rng   *rand.Rand
	files map[string][]byte
	name  string
}

// ruinings are the ways to ruin a file. Each says what it did, "" if that is not
// possible with this file.
var ruinings = []func(*ruin) string{
	(*ruin).flip, (*ruin).truncate, (*ruin).remove, (*ruin).zero, (*ruin).repeat, (*ruin).swap,
	(*ruin).exchange, (*ruin).lengthen, (*ruin).rename, (*ruin).older, (*ruin).foreign,
	(*ruin).graft, (*ruin).transplant, (*ruin).pad,
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

// rename gives it the name of another of its kind, which is lost.
func (r *ruin) rename() string {
	did := r.exchange()
	if did == "" {
		return ""
	}
	delete(r.files, r.name)
	return strings.Replace(did, "exchanges it with", "renames it to", 1)
}

// past is an earlier state of the file, nil if there is none that differs.
func (r *ruin) past() []byte {
	var list [][]byte
	for _, files := range r.of.older {
		if data, ok := files[r.name]; ok && !bytes.Equal(data, r.files[r.name]) {
			list = append(list, data)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list[r.rng.IntN(len(list))]
}

// older puts back what the file was.
func (r *ruin) older() string {
	data := r.past()
	if data == nil {
		return ""
	}
	r.files[r.name] = data
	return fmt.Sprintf("puts back %d bytes of earlier", len(data))
}

// foreign replaces the file by that of another node.
func (r *ruin) foreign() string {
	data, ok := r.of.foreign[r.name]
	if !ok {
		return ""
	}
	r.files[r.name] = data
	return "replaces it by another node's"
}

// graft replaces some pages by what they were, or by those of another node.
func (r *ruin) graft() string {
	from, what := r.of.foreign[r.name], "of another node"
	if r.rng.IntN(2) == 0 {
		from, what = r.past(), "of earlier"
	}
	data, size := bytes.Clone(r.files[r.name]), r.blockSize()
	if len(data) == 0 || len(from) == 0 {
		return ""
	}
	at, n := r.block(size), size*(1+r.rng.IntN(4))
	if at >= len(from) {
		return ""
	}
	copy(data[at:], from[at:min(at+n, len(from))])
	r.files[r.name] = data
	return fmt.Sprintf("has %d bytes at %d %s", n, at, what)
}

// transplant copies a block of another file.
func (r *ruin) transplant() string {
	names := slices.Sorted(maps.Keys(r.files))
	other := names[r.rng.IntN(len(names))]
	data, from, size := bytes.Clone(r.files[r.name]), r.files[other], r.blockSize()
	if len(data) == 0 || len(from) == 0 {
		return ""
	}
	to, at := r.block(size), r.rng.IntN((len(from)+size-1)/size)*size
	copy(data[to:], from[at:min(at+size, len(from))])
	r.files[r.name] = data
	return fmt.Sprintf("has %d bytes at %d of %s at %d", size, to, other, at)
}

// pad adds zeros.
func (r *ruin) pad() string {
	n := 1 + r.rng.IntN(9000)
	r.files[r.name] = append(bytes.Clone(r.files[r.name]), make([]byte, n)...)
	return fmt.Sprintf("adds %d zeros", n)
}
