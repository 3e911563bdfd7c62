package raftlog

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/kv"
)

// story is one file of testdata: a log, the crashes it goes through, and what
// is left of it. See testdata/recovery.txt for the commands at work.
type story struct {
	t    *testing.T
	fs   *vfs.MemFS
	opts Options
	log  *Log
}

func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		s := &story{t: t, fs: vfs.NewCrashableMem()}
		s.opts = Options{Dir: "raft", SegmentBytes: segmentBytesMin, Salt: 11}
		defer func() {
			if s.log != nil {
				must(t, s.log.Close())
			}
		}()
		datadriven.RunTest(t, path, func(_ *testing.T, d *datadriven.TestData) string {
			if err := s.run(d); err != nil {
				return "error: " + err.Error() + "\n"
			}
			return s.show(d)
		})
	})
}

func (s *story) run(d *datadriven.TestData) error {
	if s.log == nil && !slices.Contains([]string{"open", "damage", "lose", "check"}, d.Cmd) {
		return errClosed
	}
	switch d.Cmd {
	case "open":
		if d.HasArg("os") {
			s.opts.Sync = SyncOS
		}
		return s.open()
	case "close":
		defer func() { s.log = nil }()
		return s.log.Close()
	case "append":
		return s.log.Append(s.records(d))
	case "sync":
		return s.log.Sync()
	case "truncate":
		s.log.Group(s.shard(d)).Truncate(s.number(d, "to"))
	case "crash":
		return s.crash(d)
	case "damage":
		return s.damage(d)
	case "lose":
		return s.fs.Remove("raft/" + s.text(d, "file"))
	case "show", "files", "check", "read":
	default:
		d.Fatalf(s.t, "unknown command %s", d.Cmd)
	}
	return nil
}

func (s *story) open() (err error) {
	s.opts.FS = s.fs
	s.log, err = Open(s.opts)
	return err
}

// crash loses what was not synced; keep is the share of unsynced blocks, in
// percent, that reached the disk nevertheless.
func (s *story) crash(d *datadriven.TestData) error {
	cfg := vfs.CrashCloneCfg{RNG: rand.New(rand.NewPCG(1, 1))}
	if d.HasArg("keep") {
		cfg.UnsyncedDataPercent = int(s.number(d, "keep"))
	}
	image := s.fs.CrashClone(cfg)
	if s.log != nil {
		must(s.t, s.log.Close())
		s.log = nil
	}
	s.fs = image
	return nil
}

// damage inverts a byte, or zeroes some, of a file.
func (s *story) damage(d *datadriven.TestData) error {
	path, at := "raft/"+s.text(d, "file"), int64(s.number(d, "at"))
	f, err := s.fs.OpenReadWrite(path, diskCategory)
	if err != nil {
		return err
	}
	b := make([]byte, 1)
	if d.HasArg("zero") {
		b = make([]byte, s.number(d, "zero"))
	} else if _, err := f.ReadAt(b, at); err == nil {
		b[0] ^= 0xff
	}
	if _, err := f.WriteAt(b, at); err != nil {
		return err
	}
	must(s.t, f.Sync())
	return f.Close()
}

// records parses lines such as: s1 reset=10@2 entries=11-13@2,14@3 size=100
// hard=3/1/10, or: s1 remove.
func (s *story) records(d *datadriven.TestData) []Record {
	var out []Record
	for line := range strings.Lines(d.Input) {
		words := strings.Fields(line)
		rec := Record{Shard: parseShard(s.t, words[0])}
		size := 0
		for _, w := range words[1:] {
			if n, ok := strings.CutPrefix(w, "size="); ok {
				size = int(parseNumber(s.t, n))
			}
		}
		for _, w := range words[1:] {
			s.part(&rec, w, size)
		}
		out = append(out, rec)
	}
	return out
}

func (s *story) part(rec *Record, word string, size int) {
	name, value, _ := strings.Cut(word, "=")
	switch name {
	case "remove":
		rec.Remove = true
	case "reset":
		index, term, _ := strings.Cut(value, "@")
		rec.Reset = &Position{Index: parseNumber(s.t, index), Term: parseNumber(s.t, term)}
	case "entries":
		for part := range strings.SplitSeq(value, ",") {
			span, term, _ := strings.Cut(part, "@")
			lo, hi, ok := strings.Cut(span, "-")
			if !ok {
				hi = lo
			}
			first, last := parseNumber(s.t, lo), parseNumber(s.t, hi)
			rec.Entries = append(rec.Entries,
				makeEntries(first, int(last-first+1), parseNumber(s.t, term), size)...)
		}
	case "hard":
		f := strings.Split(value, "/")
		rec.Hard = makeHard(parseNumber(s.t, f[0]), parseNumber(s.t, f[1]), parseNumber(s.t, f[2]))
	}
}

// show prints what a command leaves.
func (s *story) show(d *datadriven.TestData) string {
	var b bytes.Buffer
	switch d.Cmd {
	case "open", "show":
		for _, shard := range s.log.Groups() {
			fmt.Fprintln(&b, describe(s.log.Group(shard)))
		}
		if b.Len() == 0 {
			return "empty\n"
		}
	case "append", "sync":
		head := s.log.files.head()
		fmt.Fprintf(&b, "%s ends at %d, synced up to %d\n", s.fs.PathBase(head.path),
			head.end, s.log.files.synced)
	case "files":
		for _, seg := range s.log.files.segments {
			fmt.Fprintf(&b, "%s ends at %d, %d pins\n", s.fs.PathBase(seg.path), seg.end, seg.pins)
		}
		fmt.Fprintf(&b, "%d spare\n", len(s.log.files.spares))
	case "check":
		problems, err := Check(s.fs, "raft")
		for _, p := range problems {
			fmt.Fprintln(&b, p)
		}
		if err != nil {
			fmt.Fprintln(&b, "error:", err)
		}
		if b.Len() == 0 {
			return "sound\n"
		}
	default:
		return "ok\n"
	}
	return b.String()
}

// describe prints a group as s1: (base 4@1) 5@1 6-7@2, hard 2/1/6.
func describe(g *Group) string {
	var b strings.Builder
	first, _ := g.FirstIndex()
	last, _ := g.LastIndex()
	base, _ := g.Term(first - 1)
	fmt.Fprintf(&b, "%v: after %d@%d", g.shard, first-1, base)
	entries, err := g.Entries(first, last+1, 1<<30)
	if err != nil {
		fmt.Fprintf(&b, " %v", err)
	}
	for i := 0; i < len(entries); {
		j, term := i, entries[i].GetTerm()
		for j < len(entries) && entries[j].GetTerm() == term {
			j++
		}
		fmt.Fprintf(&b, " %d-%d@%d", entries[i].GetIndex(), entries[j-1].GetIndex(), term)
		i = j
	}
	h := g.HardState()
	fmt.Fprintf(&b, " hard %d/%d/%d", h.GetTerm(), h.GetVote(), h.GetCommit())
	return b.String()
}

func (s *story) shard(d *datadriven.TestData) kv.ShardID {
	return parseShard(s.t, s.text(d, "shard"))
}

func (s *story) text(d *datadriven.TestData, name string) (value string) {
	d.ScanArgs(s.t, name, &value)
	return value
}

func (s *story) number(d *datadriven.TestData, name string) uint64 {
	return parseNumber(s.t, s.text(d, name))
}

func parseShard(t *testing.T, word string) kv.ShardID {
	t.Helper()
	return kv.ShardID(parseNumber(t, strings.TrimPrefix(word, "s")))
}

func parseNumber(t *testing.T, word string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(word, 10, 64)
	must(t, err)
	return n
}
