package pebble

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/miruvor/miruvor/internal/kv"
)

// Damage is something that is wrong with a file of the engine. As an error it
// is kv.ErrCorrupt.
type Damage struct {
	// File is its path, Offset where in it the damage was met: 0 if it is gone, or
	// if only the whole can be judged.
	File   string
	Offset int64
	What   string
}

func (d Damage) Error() string {
	return fmt.Sprintf("%v: %s at offset %d: %s", kv.ErrCorrupt, d.File, d.Offset, d.What)
}

// Unwrap makes it kv.ErrCorrupt.
func (d Damage) Unwrap() error { return kv.ErrCorrupt }

// Damages are those that an error tells of.
func Damages(err error) []Damage {
	switch err := err.(type) {
	case nil:
		return nil
	case Damage:
		return []Damage{err}
	case interface{ Unwrap() error }:
		return Damages(err.Unwrap())
	case interface{ Unwrap() []error }:
		var list []Damage
		for _, err := range err.Unwrap() {
			list = append(list, Damages(err)...)
		}
		return list
	}
	return nil
}

// Pebble tells where a table is damaged in words only.
var (
	badBlock     = regexp.MustCompile(`block (\d+)/\d+: `)
	missingTable = regexp.MustCompile(`(\d{6,}): file \d+ \(type sstable\) unknown`)
	resizedTable = regexp.MustCompile(`object size mismatch \(([^)]+)\): (\d+) \(disk\) != (\d+)`)
)

// tableDamage is what Pebble says of a table that fails its checks.
func tableDamage(path string, err error) Damage {
	d := Damage{File: path, What: plain(err)}
	if at := badBlock.FindStringSubmatchIndex(d.What); at != nil {
		d.Offset, _ = strconv.ParseInt(d.What[at[2]:at[3]], 10, 64)
		d.What = "a block fails its checks: " + d.What[at[1]:]
	}
	return d
}

// plain is the text of an error in one line, without Pebble's empty parts.
func plain(err error) string {
	var lines []string
	for line := range strings.Lines(err.Error()) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "<corruption detail carrier>") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "; ")
}

// openDamage finds the tables in an error of opening that Pebble misses or that
// have another size than they had. It returns err if it finds none.
func (e *Engine) openDamage(err error) error {
	var list []error
	for line := range strings.Lines(err.Error()) {
		if m := resizedTable.FindStringSubmatch(line); m != nil {
			size, _ := strconv.ParseInt(m[2], 10, 64)
			list = append(list, Damage{m[1], size, "the file ends here, it had " + m[3] + " bytes"})
		} else if m := missingTable.FindStringSubmatch(line); m != nil {
			path := e.options.FS.PathJoin(e.dir, m[1]+".sst")
			list = append(list, Damage{path, 0, "the file is missing"})
		}
	}
	if len(list) == 0 {
		return err
	}
	return errors.Join(list...)
}

// readDamage is the damage that a read met, if err tells of any.
func readDamage(err error) (Damage, bool) {
	info := pebble.ExtractDataCorruptionInfo(err)
	if info == nil {
		return Damage{}, false
	}
	return tableDamage(info.Path, info.Details), true
}
