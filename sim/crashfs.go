package sim

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// blockBytes is what a disk writes whole or not at all.
const blockBytes = 4096

// crashImage is what a crash at this moment leaves of a directory: what was
// synced, and each block of the rest with a probability of percent. It does
// what MemFS.CrashClone does with one source of chance, but in the order of
// the names, so that a seed gives the same image each time.
func crashImage(fs *vfs.MemFS, dir string, percent int, rng *rand.Rand) (*vfs.MemFS, error) {
	synced := fs.CrashClone(vfs.CrashCloneCfg{})
	if percent == 0 {
		return synced, nil
	}
	all := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng})
	if percent == 100 {
		return all, nil
	}
	image := vfs.NewCrashableMem()
	if err := image.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	names, err := namesIn(dir, synced, all)
	if err != nil {
		return nil, fmt.Errorf("crash image: %w", err)
	}
	for _, name := range names {
		path := fs.PathJoin(dir, name)
		old, err := readFile(synced, path)
		if err != nil && rng.IntN(100) >= percent {
			continue // its name was not synced
		}
		recent, err := readFile(all, path)
		if err != nil {
			recent = nil // its removal was not synced
		}
		if err := writeFile(image, path, mixBlocks(old, recent, percent, rng)); err != nil {
			return nil, err
		}
	}
	return image, errors.Join(syncDir(image, dir), syncDir(image, ""))
}

// namesIn are the files of a directory in either of two file systems, sorted.
func namesIn(dir string, a, b *vfs.MemFS) ([]string, error) {
	names, err := b.List(dir)
	if err != nil {
		return nil, err
	}
	more, err := a.List(dir)
	if err == nil {
		names = append(names, more...)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// mixBlocks is old with some blocks of recent.
func mixBlocks(old, recent []byte, percent int, rng *rand.Rand) []byte {
	mixed := slices.Clone(old)
	for at := 0; at < len(recent); at += blockBytes {
		end := min(at+blockBytes, len(recent))
		if rng.IntN(100) >= percent {
			continue
		}
		if grow := end - len(mixed); grow > 0 {
			mixed = append(mixed, make([]byte, grow)...)
		}
		copy(mixed[at:], recent[at:end])
	}
	return mixed
}

func readFile(fs vfs.FS, path string) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	return data, errors.Join(err, f.Close())
}

func writeFile(fs vfs.FS, path string, data []byte) error {
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// batchMagic begins each batch of the raft log, at a multiple of 8 bytes
// (docs/disk-format.md); its header takes 32.
const (
	batchMagic       = "RMB1"
	batchHeaderBytes = 32
)

// segmentSuffix is how the files end that hold batches.
const segmentSuffix = ".log"

// tornImage is what a crash leaves of a directory amid a write to the disk: of what
// was not synced in its last segment, all that lies before some byte, and of other files
// all or nothing. It tells where the write was torn, NoRare if there was nothing to tear.
func tornImage(fs *vfs.MemFS, dir string, rng *rand.Rand) (*vfs.MemFS, Rare, error) {
	image := fs.CrashClone(vfs.CrashCloneCfg{})
	all := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng})
	names, err := image.List(dir)
	if err != nil || len(names) == 0 {
		return image, NoRare, nil // the directory itself was not synced
	}
	slices.Sort(names)
	where := NoRare
	for _, name := range slices.Backward(names) {
		path := fs.PathJoin(dir, name)
		old, errOld := readFile(image, path)
		recent, errRecent := readFile(all, path)
		first, end := changed(old, recent)
		if errOld != nil || errRecent != nil || first == end {
			continue
		}
		torn := recent
		switch segment := strings.HasSuffix(name, segmentSuffix); {
		case segment && where == NoRare:
			torn, where = tornFile(old, recent, rng)
		case rng.IntN(2) == 0:
			torn = old
		}
		if err := writeFile(image, path, torn); err != nil {
			return nil, NoRare, err
		}
	}
	return image, where, syncDir(image, dir)
}

// tornFile is a file of which a write was torn, and where.
func tornFile(old, recent []byte, rng *rand.Rand) ([]byte, Rare) {
	first, end := changed(old, recent)
	cut, where := tear(recent, first, end, rng)
	torn := append(slices.Clone(recent[:cut]), make([]byte, max(0, len(old)-cut))...)
	copy(torn[cut:], old[min(cut, len(old)):])
	return torn, where
}

// changed is where two files begin to differ, and where they have ceased to.
func changed(old, recent []byte) (first, end int) {
	for first < len(recent) && first < len(old) && old[first] == recent[first] {
		first++
	}
	end = len(recent)
	for end > first && end <= len(old) && old[end-1] == recent[end-1] {
		end--
	}
	return first, end
}

// tear chooses where a write of the bytes from first to end of a file stops: between
// two batches, in a header, or in a body.
func tear(file []byte, first, end int, rng *rand.Rand) (cut int, where Rare) {
	var headers []int
	for at := first &^ 7; at+batchHeaderBytes <= end; at += 8 {
		if string(file[at:at+4]) == batchMagic {
			headers = append(headers, at)
		}
	}
	if len(headers) == 0 {
		return first + rng.IntN(end-first), TornBody
	}
	at := headers[rng.IntN(len(headers))]
	switch rng.IntN(3) {
	case 0:
		return max(first, at), TornBoundary
	case 1:
		return max(first, at+1+rng.IntN(batchHeaderBytes-1)), TornHeader
	}
	body := at + batchHeaderBytes
	return max(first, body+rng.IntN(max(1, end-body))), TornBody
}
