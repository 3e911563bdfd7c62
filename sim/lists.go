package sim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miruvor/miruvor/internal/kv"
)

// checkLists looks for a circle among the transactions on lists. An append names
// its operation, so that what was seen of a list tells all that came before, and in
// which order (Kingsbury and Alvaro, "Elle", 2020):
//
//	a ──> b   b appended right after a            (write, write)
//	          b saw what a appended               (write, read)
//	          a did not see yet what b appended   (read, write)
//	          a was over when b began             (real time)
//
// No revision is looked at.
func (h *History) checkLists(keys [][]byte) error {
	l := lists{longest: map[string][]string{}, ops: map[string]*Op{}}
	for _, op := range h.Ops {
		l.ops[fmt.Sprint(op.ID)] = op
		l.look(op, keys)
	}
	if err := l.compare(); err != nil {
		return err
	}
	if err := l.whole(keys); err != nil {
		return err
	}
	return l.circle(h)
}

type lists struct {
	// longest is the most that was seen of each list.
	longest map[string][]string
	ops     map[string]*Op
	seen    []sight
}

// sight is what an operation saw of a list.
type sight struct {
	op   *Op
	key  string
	list []string
}

// look finds what an operation saw: what it read before it wrote, and what its
// compares say.
func (l *lists) look(op *Op, keys [][]byte) {
	if op.Fate() != Done {
		return
	}
	if op.Range != nil {
		l.read(op, op.Range, op.RangeResponse, keys)
		return
	}
	if op.Txn == nil {
		return
	}
	ops := op.Txn.Success
	if !op.TxnResponse.Succeeded {
		ops = op.Txn.Failure
	}
	for i, o := range ops {
		if o.Range != nil {
			l.read(op, o.Range, op.TxnResponse.Results[i].Range, keys)
		}
	}
}

func (l *lists) read(op *Op, req *kv.RangeRequest, resp *kv.RangeResponse, keys [][]byte) {
	if partial(req) || req.Revision != 0 {
		return
	}
	for _, key := range keys {
		if !req.Contains(key) {
			continue
		}
		s := sight{op: op, key: string(key)}
		for _, pair := range resp.KVs {
			if string(pair.Key) == s.key {
				s.list = strings.Split(strings.TrimSuffix(string(pair.Value), ","), ",")
			}
		}
		l.seen = append(l.seen, s)
		if len(s.list) > len(l.longest[s.key]) {
			l.longest[s.key] = s.list
		}
	}
}

// compare checks that all saw beginnings of one list.
func (l *lists) compare() error {
	for _, s := range l.seen {
		if whole := l.longest[s.key]; !slices.Equal(s.list, whole[:len(s.list)]) {
			return fmt.Errorf("lists: %s was seen as %v, and as %v\n%v", s.key, whole, s.list, s.op)
		}
	}
	return nil
}

// whole checks that what was appended to one list by a transaction was appended to the
// others too, and only once, and that nothing that was acknowledged is missing. All lists
// are read in the end.
func (l *lists) whole(keys [][]byte) error {
	for _, op := range l.ops {
		name, in, missing := fmt.Sprint(op.ID), 0, 0
		for _, key := range keys {
			if _, ok := written(op, key); !ok {
				continue
			}
			times := 0
			for _, element := range l.longest[string(key)] {
				if element == name {
					times++
				}
			}
			switch {
			case times > 1:
				return fmt.Errorf("lists: %s has %s %d times\n%v", key, name, times, op)
			case times == 1:
				in++
			default:
				missing++
			}
		}
		done := op.Fate() == Done && op.TxnResponse != nil && op.TxnResponse.Succeeded
		if missing > 0 && (in > 0 || done) {
			return fmt.Errorf("lists: %s is missing in %d lists of %d\n%v", name, missing,
				in+missing, op)
		}
	}
	return nil
}

// circle looks for operations that all come before each other.
func (l *lists) circle(h *History) error {
	g := graph{}
	for _, whole := range l.longest {
		for i := 1; i < len(whole); i++ {
			g.edge(l.ops[whole[i-1]], l.ops[whole[i]])
		}
	}
	for _, s := range l.seen {
		list, whole, own := s.list, l.longest[s.key], fmt.Sprint(s.op.ID)
		if n := len(list); n > 0 && list[n-1] == own {
			continue // its own append, which it saw
		}
		if n := len(list); n > 0 {
			g.edge(l.ops[list[n-1]], s.op)
		}
		if n := len(list); n < len(whole) && whole[n] != own {
			g.edge(s.op, l.ops[whole[n]])
		}
	}
	g.realTime(h)
	if left := g.circle(); len(left) > 0 {
		var text strings.Builder
		for _, op := range left[:min(len(left), 10)] {
			fmt.Fprintf(&text, "\n%v", op)
		}
		return fmt.Errorf("lists: %d operations are in circles:%s", len(left), text.String())
	}
	return nil
}

// graph says who comes before whom. Its nodes are operations and moments.
type graph map[vertex][]vertex

// vertex is an operation, or if op is nil a moment.
type vertex struct {
	op     *Op
	moment int
}

func (g graph) edge(a, b *Op) {
	if a != nil && b != nil && a != b {
		g[vertex{op: a}] = append(g[vertex{op: a}], vertex{op: b})
	}
}

// realTime has moments follow one another, answers precede theirs, and operations follow
// theirs, but for those that may read the past.
func (g graph) realTime(h *History) {
	for i := range h.order {
		g[vertex{moment: i}] = append(g[vertex{moment: i}], vertex{moment: i + 1})
	}
	for _, op := range h.Ops {
		if op.Range == nil || !op.Range.Serializable {
			at := vertex{moment: op.Begin}
			g[at] = append(g[at], vertex{op: op})
		}
		if op.Fate() == Done && (op.Range == nil || op.Range.Revision == 0) {
			g[vertex{op: op}] = append(g[vertex{op: op}], vertex{moment: op.End})
		}
	}
}

// circle are the operations that are in circles, or behind them.
func (g graph) circle() []*Op {
	before := map[vertex]int{}
	for a, list := range g {
		before[a] += 0
		for _, b := range list {
			before[b]++
		}
	}
	var free []vertex
	for a, n := range before {
		if n == 0 {
			free = append(free, a)
		}
	}
	for len(free) > 0 {
		a := free[len(free)-1]
		free = free[:len(free)-1]
		delete(before, a)
		for _, b := range g[a] {
			if before[b]--; before[b] == 0 {
				free = append(free, b)
			}
		}
	}
	var left []*Op
	for a := range before {
		if a.op != nil {
			left = append(left, a.op)
		}
	}
	slices.SortFunc(left, func(a, b *Op) int { return int(a.ID) - int(b.ID) })
	return left
}
