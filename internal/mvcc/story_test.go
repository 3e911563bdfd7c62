package mvcc

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/engine/memory"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
)

// TestStories plays testdata/*.txt, each on an empty shard. The commands:
//
//	txn                 evaluate, number with the next revision and apply at once
//	propose             evaluate and leave in flight, not numbered
//	number seq rev      number what is in flight
//	apply seq           apply it
//	drop seq            forget it and all above
//	clear               forget everything in flight
//	range [at=rev]      read: one request a line
//	overlap [at=rev]    the last proposal in flight on a range a line
//	history [from= to=] list the past
//	check               look for damage
//	lease id            the keys that hang on a lease
//	damage              change stored bytes: one change a line
//	compacted rev       the floor below which nothing can be read
//	requests            properties of a transaction
//
// Revisions print as r5, and as #5 if provisional.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		s := newStory(t)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t = t
			return s.run(d)
		})
	})
}

type story struct {
	t         *testing.T
	engine    engine.Engine
	overlay   *Overlay
	seq       uint64
	current   kv.Revision
	compacted kv.Revision
	flight    map[uint64]*Evaluation
	numbers   map[uint64]kv.Revision
}

func newStory(t *testing.T) *story {
	return &story{
		t: t, engine: memory.New(), overlay: NewOverlay(), current: kv.FirstRevision,
		flight: map[uint64]*Evaluation{}, numbers: map[uint64]kv.Revision{},
	}
}

func (s *story) run(d *datadriven.TestData) string {
	switch d.Cmd {
	case "txn":
		return s.txn(d.Input)
	case "propose":
		return s.propose(d.Input)
	case "number":
		var seq uint64
		var rev int64
		d.ScanArgs(s.t, "seq", &seq)
		d.ScanArgs(s.t, "rev", &rev)
		return s.number(seq, kv.Revision(rev))
	case "apply":
		var seq uint64
		d.ScanArgs(s.t, "seq", &seq)
		return s.apply(seq)
	case "drop":
		var seq uint64
		d.ScanArgs(s.t, "seq", &seq)
		s.overlay.DropFrom(seq)
		return fmt.Sprintf("%d in flight\n", s.overlay.Len())
	case "clear":
		s.overlay.Clear()
		return fmt.Sprintf("%d in flight\n", s.overlay.Len())
	case "range":
		return s.ranges(d)
	case "overlap":
		return s.overlap(d)
	case "history":
		return s.history(revisionArg(s.t, d, "from"), revisionArg(s.t, d, "to"))
	case "check":
		return s.check()
	case "lease":
		return s.lease(d.CmdArgs[0].Key)
	case "damage":
		s.damage(d.Input)
		return ""
	case "compacted":
		s.compacted = revisionArg(s.t, d, "rev")
		return ""
	case "requests":
		req := parseTxn(s.t, d.Input)
		return fmt.Sprintf("read-only %v, revision %v, spans %v\n",
			ReadOnly(req), HasRevision(req), Spans(req))
	}
	s.t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
	return ""
}

func revisionArg(t *testing.T, d *datadriven.TestData, name string) kv.Revision {
	var rev int64
	d.MaybeScanArgs(t, name, &rev)
	return kv.Revision(rev)
}

func (s *story) view() View {
	return View{
		Reader: s.engine, Overlay: s.overlay, Current: s.current, Compacted: s.compacted,
	}
}

func (s *story) txn(input string) string {
	s.seq++
	eval, err := Evaluate(s.view(), parseTxn(s.t, input), Provisional(s.seq))
	if err != nil {
		return outcome(err)
	}
	if len(eval.Writes) == 0 {
		eval.SetRevision(s.current)
		return printTxn(&eval.Response, "")
	}
	s.flight[s.seq] = &eval
	s.overlay.Add(s.seq, Provisional(s.seq), eval.Writes)
	s.number(s.seq, s.current+1)
	return s.apply(s.seq)
}

func (s *story) propose(input string) string {
	s.seq++
	eval, err := Evaluate(s.view(), parseTxn(s.t, input), Provisional(s.seq))
	if err != nil {
		return outcome(err)
	}
	s.flight[s.seq] = &eval
	if len(eval.Writes) > 0 {
		s.overlay.Add(s.seq, Provisional(s.seq), eval.Writes)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "seq %d: %s", s.seq, printTxn(&eval.Response, ""))
	for _, w := range eval.Writes {
		fmt.Fprintf(&out, "writes %s\n", printWrite(w))
	}
	return out.String()
}

func (s *story) number(seq uint64, rev kv.Revision) string {
	s.numbers[seq], s.current = rev, rev
	s.overlay.Number(seq, rev)
	return ""
}

func (s *story) apply(seq uint64) string {
	eval, rev := s.flight[seq], s.numbers[seq]
	eval.Resolve(func(seq uint64) (kv.Revision, bool) {
		rev, known := s.numbers[seq]
		return rev, known
	})
	b := s.engine.NewBatch()
	if err := Apply(b, nil, testShard, rev, eval.Writes); err != nil {
		return outcome(err)
	}
	s.commit(b)
	s.overlay.Done(seq)
	eval.SetRevision(rev)
	return printTxn(&eval.Response, "")
}

func (s *story) commit(b engine.Batch) {
	if err := b.Commit(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *story) ranges(d *datadriven.TestData) string {
	v := s.view()
	v.At = revisionArg(s.t, d, "at")
	var out strings.Builder
	for line := range strings.Lines(d.Input) {
		resp, err := v.Range(*parseRange(s.t, strings.Fields(line)))
		if err != nil {
			out.WriteString(outcome(err))
			continue
		}
		fmt.Fprintf(&out, "%s\n", printRange(&resp))
	}
	return out.String()
}

func (s *story) overlap(d *datadriven.TestData) string {
	at := revisionArg(s.t, d, "at")
	var out strings.Builder
	for line := range strings.Lines(d.Input) {
		seq, found := s.overlay.LastOverlap(parseKeys(s.t, strings.TrimSpace(line)), at)
		fmt.Fprintf(&out, "%d %v\n", seq, found)
	}
	return out.String()
}

func (s *story) history(from, to kv.Revision) string {
	var out strings.Builder
	for e, err := range History(s.engine, testShard, from, to) {
		switch {
		case err != nil:
			out.WriteString(outcome(err))
		case e.Deleted:
			fmt.Fprintf(&out, "%v.%d delete %q\n", e.Revision, e.Sub, e.KV.Key)
		default:
			fmt.Fprintf(&out, "%v.%d put %s\n", e.Revision, e.Sub, printKV(e.KV))
		}
	}
	return out.String()
}

func (s *story) lease(id string) string {
	keys, whole, err := LeaseKeys(s.engine, testShard, kv.LeaseID(parseNumber(s.t, id)), 8)
	if err != nil {
		return outcome(err)
	}
	return fmt.Sprintf("%q %v\n", keys, whole)
}

func (s *story) check() string {
	var out strings.Builder
	keys := kv.Range{End: []byte("x")}
	for p, err := range Check(s.engine, testShard, keys, s.compacted) {
		if err != nil {
			s.t.Fatal(err)
		}
		fmt.Fprintf(&out, "%v\n", p)
	}
	if out.Len() == 0 {
		return "sound\n"
	}
	return out.String()
}

// damage understands
//
//	version key rev create count     tombstone key rev     garbage key rev
//	entry rev sub key                no-version key rev    no-entry rev sub
//	index lease key                  no-index lease key
func (s *story) damage(input string) {
	b := s.engine.NewBatch()
	for line := range strings.Lines(input) {
		f := strings.Fields(line)
		n := func(i int) int64 { return parseNumber(s.t, f[i]) }
		versionKey := func() []byte {
			return keyspace.VersionKey(nil, []byte(f[1]), kv.Revision(n(2)))
		}
		entryKey := func() []byte {
			return keyspace.HistoryKey(nil, testShard, kv.Revision(n(1)), uint32(n(2)))
		}
		var err error
		switch f[0] {
		case "version":
			v := keyspace.Version{Create: kv.Revision(n(3)), Count: n(4)}
			err = b.Set(versionKey(), keyspace.AppendVersion(nil, v))
		case "tombstone":
			v := keyspace.Version{Tombstone: true}
			err = b.Set(versionKey(), keyspace.AppendVersion(nil, v))
		case "garbage":
			err = b.Set(versionKey(), []byte{0xee})
		case "entry":
			err = b.Set(entryKey(), []byte(f[3]))
		case "no-version":
			err = b.Delete(versionKey())
		case "no-entry":
			err = b.Delete(entryKey())
		case "index":
			err = b.Set(keyspace.LeaseIndexKey(nil, testShard, kv.LeaseID(n(1)), []byte(f[2])), nil)
		case "no-index":
			err = b.Delete(keyspace.LeaseIndexKey(nil, testShard, kv.LeaseID(n(1)), []byte(f[2])))
		default:
			s.t.Fatalf("unknown damage %q", line)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	s.commit(b)
}

func outcome(err error) string {
	if errors.Is(err, ErrPending) {
		return "pending\n"
	}
	return fmt.Sprintf("error: %v\n", err)
}
