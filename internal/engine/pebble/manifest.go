package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Pebble takes a manifest to end at the first record that fails its checks, and
// a directory without its markers for a new one: it would go back to an older
// state, or to none, and remove the tables that it does not know. So the files that
// say what the state is are looked at before Pebble sees them.

// found is what an inspection found that is no reason to refuse.
type found struct {
	// torn is where the manifest ends in what may be a torn write, 0 if it does not.
	torn int64
	// note is the damage of the note, nil if there is none.
	note error
}

// inspect looks for damage in what says which tables are the state: the
// markers, the manifest and the options. It reads and changes nothing.
func inspect(files vfs.FS, dir string, o *pebble.Options) (found, error) {
	names, err := files.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return found{}, nil
	}
	if err != nil {
		return found{}, fmt.Errorf("list %s: %w", dir, err)
	}
	if err := checkMarkers(files, dir, names); err != nil {
		return found{}, err
	}
	desc, err := pebble.Peek(dir, files)
	if err != nil || !desc.Exists {
		return found{}, err
	}
	if desc.OptionsFilename != "" {
		if err := checkOptions(files, dir, desc.OptionsFilename, o); err != nil {
			return found{}, err
		}
	}
	return checkManifest(files, dir, desc.ManifestFilename)
}

// checkManifest makes sure that a manifest has all records that were synced.
func checkManifest(files vfs.FS, dir, path string) (found, error) {
	synced, bad, err := readNote(files, dir, path)
	if err != nil {
		return found{}, err
	}
	data, err := readFile(files, path)
	if errors.Is(err, fs.ErrNotExist) {
		return found{}, Damage{path, 0, "the file is missing"}
	}
	if err != nil {
		return found{}, fmt.Errorf("read %s: %w", path, err)
	}
	end, goesOn := scanManifest(data)
	switch {
	case int64(end) < synced.End && end == len(data):
		return found{}, Damage{path, int64(end), fmt.Sprintf(
			"the file ends here, but was synced up to %d", synced.End)}
	case goesOn || end == 0 || int64(end) < synced.End:
		return found{}, Damage{path, int64(end), "a record fails its checksum"}
	case synced.Sum != 0 && crc32.Checksum(data[:synced.End], castagnoli) != synced.Sum:
		return found{}, Damage{path, 0, fmt.Sprintf(
			"its records are whole, but not those that were synced up to %d", synced.End)}
	case end < len(data):
		return found{torn: int64(end), note: bad}, nil
	}
	return found{note: bad}, nil
}

// checkMarkers makes sure that the files are there which name the manifest and
// the format, if there is anything that they speak of. They are made before the
// first table.
func checkMarkers(files vfs.FS, dir string, names []string) error {
	has := func(match func(name, part string) bool, part string) bool {
		for _, name := range names {
			if match(name, part) {
				return true
			}
		}
		return false
	}
	if !has(strings.HasSuffix, ".sst") {
		return nil
	}
	for _, marker := range []string{"marker.manifest", "marker.format-version"} {
		if !has(strings.HasPrefix, marker+".") {
			return Damage{files.PathJoin(dir, marker), 0, "the file is missing"}
		}
	}
	return nil
}

// checkOptions reads the options of the last program that had the engine open
// as Pebble will do, which does not name the file.
func checkOptions(files vfs.FS, dir, path string, o *pebble.Options) error {
	data, err := readFile(files, path)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if err := o.CheckCompatibility(dir, string(data)); err != nil {
		return Damage{path, 0, plain(err)}
	}
	return nil
}

func readFile(files vfs.FS, path string) ([]byte, error) {
	f, err := files.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	return data, errors.Join(err, f.Close())
}

// A manifest is blocks of records' chunks, each with a header: a checksum of what
// follows the length, the length of the payload, and which part of its record
// it is. Where a header does not fit the block ends in zeros.
const (
	chunkBlockBytes  = 32 << 10
	chunkHeaderBytes = 7

	chunkFull  = 1
	chunkFirst = 2
	chunkLast  = 4
)

// scanManifest returns where the valid records end, and whether others follow,
// of which the first part at least is valid. Each record was synced before the next was
// written. So what is bad is damage if others follow; at the end it may be a
// write that a crash tore.
func scanManifest(data []byte) (end int, goesOn bool) {
	at, inside := 0, false
	for at < len(data) {
		at = nextChunk(at)
		kind, size := chunk(data, at)
		if kind == 0 || inside == (kind == chunkFull || kind == chunkFirst) {
			break
		}
		at += size
		if inside = kind != chunkFull && kind != chunkLast; !inside {
			end = at
		}
	}
	if nextChunk(end) >= len(data) {
		return len(data), false
	}
	for at = nextChunk(end) + 1; at < len(data); at++ {
		if kind, _ := chunk(data, at); kind == chunkFull || kind == chunkFirst {
			return end, true
		}
	}
	return end, false
}

// nextChunk is where a chunk behind offset at begins.
func nextChunk(at int) int {
	if left := chunkBlockBytes - at%chunkBlockBytes; left < chunkHeaderBytes {
		return at + left
	}
	return at
}

// chunk is the kind of the chunk at an offset, and its size with the header; the
// kind is 0 if there is none that passes its checksum.
func chunk(data []byte, at int) (kind byte, size int) {
	room := min(chunkBlockBytes-at%chunkBlockBytes, len(data)-at)
	if room < chunkHeaderBytes {
		return 0, 0
	}
	kind = data[at+6]
	size = chunkHeaderBytes + int(binary.LittleEndian.Uint16(data[at+4:]))
	if kind < chunkFull || kind > chunkLast || size > room {
		return 0, 0
	}
	sum := crc32.Checksum(data[at+6:at+size], castagnoli)
	if (sum>>15|sum<<17)+0xa282ead8 != binary.LittleEndian.Uint32(data[at:]) {
		return 0, 0
	}
	return kind, size
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)
