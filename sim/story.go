package sim

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/miruvor/miruvor/internal/kv"
)

// traceWhole is how many lines of a run are kept for its story: all, but for routine.
const traceWhole = 200_000

// Story tells what an objection is about, in at most so many lines of the trace: what
// happened around the operation that it names, and before, what was answered to
// those on its keys and to those whose revisions it mentions. An arrow marks what it names;
// from the ellipsis on nothing is left out. An objection that names nothing was made at
// the end of the trace, so that is told.
func (r *Report) Story(lines int) string {
	if r.Err == nil {
		return r.Trace.tail(lines)
	}
	s := &storyteller{
		subject: r.subject(), lines: r.Trace.lines, most: lines, picked: map[int]bool{},
	}
	s.pickAround()
	s.pickAnswers(3*lines/4, s.subject.mentions)
	s.pickAnswers(lines, s.subject.concerns)
	return printable(s.tell())
}

// storyteller picks the lines of a story.
type storyteller struct {
	subject *subject
	lines   []traceLine
	most    int
	picked  map[int]bool
	// from is the first line of those around what is named.
	from int
}

// linesAfter is how much is told of what followed.
const linesAfter = 3

// pickAround picks the last line of what is named, and half of the story before it.
func (s *storyteller) pickAround() {
	centre := len(s.lines) - 1
	for i, line := range s.lines {
		if s.subject.names(line.text) {
			s.picked[i], centre = len(s.picked) < s.most/4 || s.picked[i], i
		}
	}
	s.from = max(0, centre-s.most/2)
	for i := s.from; i < min(centre+linesAfter, len(s.lines)); i++ {
		s.picked[i] = true
	}
}

// pickAnswers picks the last lines of operations, the last ones first.
func (s *storyteller) pickAnswers(most int, wanted func(*Op) bool) {
	seen := map[*Op]bool{}
	for i := len(s.lines) - 1; i >= 0 && len(s.picked) < most; i-- {
		op := s.subject.opOf(s.lines[i].text)
		if op != nil && !seen[op] && wanted(op) {
			s.picked[i] = true
		}
		seen[op] = true
	}
}

func (s *storyteller) tell() string {
	var text strings.Builder
	for i, line := range s.lines {
		if !s.picked[i] {
			continue
		}
		if i == s.from && i > 0 {
			text.WriteString(" …\n")
		}
		mark := " "
		if s.subject.names(line.text) {
			mark = "→"
		}
		fmt.Fprintf(&text, "%s%v\n", mark, line)
	}
	return text.String()
}

// subject is what an objection is about.
type subject struct {
	history *History
	// named are the operations that it names, prefixes how lines of the trace begin that
	// are of them, or of watches that it names.
	named    map[*Op]bool
	prefixes []string
	// spans are the keys of the named, end the place in the order at which they were over.
	spans []kv.Range
	end   int
	// Revisions and leases that it mentions.
	revisions map[kv.Revision]bool
	leases    map[kv.LeaseID]bool
}

var (
	opName       = regexp.MustCompile(`\bop ([0-9]+) of client`)
	watchName    = regexp.MustCompile(`\bwatch ([0-9]+)`)
	leaseName    = regexp.MustCompile(`\blease ([0-9]+)`)
	revisionName = regexp.MustCompile(`\br([0-9]+)\b`)
)

// subject reads what an objection is about from its words.
func (r *Report) subject() *subject {
	s := &subject{
		history: &r.History, named: map[*Op]bool{},
		revisions: map[kv.Revision]bool{}, leases: map[kv.LeaseID]bool{},
	}
	text := r.Err.Error()
	for _, id := range numbersOf(opName, text) {
		if op := s.op(id); op != nil {
			s.named[op], s.end = true, max(s.end, op.End)
			s.prefixes = append(s.prefixes, fmt.Sprintf("op %d of", id))
			s.spans = append(s.spans, op.spans()...)
		}
	}
	for _, id := range numbersOf(watchName, text) {
		s.prefixes = append(s.prefixes, fmt.Sprintf("watch %d:", id))
	}
	for _, id := range numbersOf(leaseName, text) {
		s.leases[kv.LeaseID(id)] = true
	}
	for _, rev := range numbersOf(revisionName, text) {
		s.revisions[kv.Revision(rev)] = true
	}
	return s
}

// numbersOf are the numbers of names in a text.
func numbersOf(name *regexp.Regexp, text string) []uint64 {
	var list []uint64
	for _, match := range name.FindAllStringSubmatch(text, -1) {
		if n, err := strconv.ParseUint(match[1], 10, 63); err == nil {
			list = append(list, n)
		}
	}
	return list
}

func (s *subject) op(id uint64) *Op {
	if id == 0 || id > uint64(len(s.history.Ops)) {
		return nil
	}
	return s.history.Ops[id-1]
}

// opOf is the operation that a line of the trace is of, nil for none.
func (s *subject) opOf(line string) *Op {
	if at := opName.FindStringIndex(line); at == nil || at[0] != 0 {
		return nil
	}
	return s.op(numbersOf(opName, line)[0])
}

// names reports whether a line of the trace is of something that is named.
func (s *subject) names(line string) bool {
	for _, prefix := range s.prefixes {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}

// mentions reports whether an operation was told a revision that is mentioned, or asked
// about a lease that is.
func (s *subject) mentions(op *Op) bool {
	if op.Lease != nil && s.leases[op.Lease.Request.ID] {
		return true
	}
	return op.Fate() == Done && s.revisions[op.Revision()]
}

// concerns reports whether an operation is on keys of the named ones, and began before
// they were over.
func (s *subject) concerns(op *Op) bool {
	if s.end > 0 && op.Begin > s.end {
		return false
	}
	for _, a := range op.spans() {
		if slices.ContainsFunc(s.spans, a.Overlaps) {
			return true
		}
	}
	return false
}

// spans are the keys that an operation reads, writes or compares.
func (o *Op) spans() []kv.Range {
	switch {
	case o.Txn != nil:
		return spansOfTxn(o.Txn)
	case o.Range != nil:
		return []kv.Range{o.Range.Range}
	}
	return nil
}

func spansOfTxn(txn *kv.TxnRequest) []kv.Range {
	var spans []kv.Range
	for _, c := range txn.Compares {
		spans = append(spans, c.Keys())
	}
	for _, ops := range [...][]kv.Op{txn.Success, txn.Failure} {
		for _, op := range ops {
			switch {
			case op.Put != nil:
				spans = append(spans, kv.PointRange(op.Put.Key))
			case op.Delete != nil:
				spans = append(spans, op.Delete.Range)
			case op.Range != nil:
				spans = append(spans, op.Range.Range)
			case op.Txn != nil:
				spans = append(spans, spansOfTxn(op.Txn)...)
			}
		}
	}
	return spans
}
