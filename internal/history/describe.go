package history

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Problem is something that clients and watches cannot have been told.
type Problem struct {
	// At is when it was told, since the beginning.
	At   time.Duration
	Text string
}

// Error implements error.
func (p *Problem) Error() string { return p.Text }

// seconds is a time as people read it.
func seconds(d time.Duration) string {
	if d == forever {
		return "?"
	}
	return fmt.Sprintf("%.4f s", d.Seconds())
}

// String tells who asked for what, when, and what was answered.
func (c *Call) String() string {
	switch c.Client {
	case endClient:
		return fmt.Sprintf("the end of lease %d at revision %d, seen at %s and due at %s at the "+
			"earliest\n  by %s", c.Lease, c.Revision, seconds(c.End), seconds(c.Begin), c.Error)
	case watchClient:
		return fmt.Sprintf("%s: a watch was told up to %d", seconds(c.End), c.Revision)
	}
	client := fmt.Sprintf("client %d", c.Client)
	if c.Client == Harness {
		client = "the harness"
	}
	text := fmt.Sprintf("%s, %s to %s: %v", client, seconds(c.Begin), seconds(c.End), &c.Request)
	switch c.Outcome {
	case Unknown:
		text += " → no answer"
	case Refused, Forgotten:
		text += " → refused"
	default:
		text += " → " + c.told()
	}
	if c.Error != "" {
		text += ": " + c.Error
	}
	return text
}

// told is what was answered.
func (c *Call) told() string {
	var list []string
	if len(c.Ifs) > 0 {
		list = append(list, map[bool]string{true: "then", false: "else"}[c.Succeeded])
	}
	for i := range c.Parts {
		list = append(list, c.Parts[i].String())
	}
	if c.Kind == KeepAlive {
		return fmt.Sprintf("%d s left", c.TTL)
	}
	return strings.TrimSpace(strings.Join(list, " ") + fmt.Sprintf(" at revision %d", c.Revision))
}

// String is a request in a line.
func (r *Request) String() string {
	switch r.Kind {
	case Grant:
		return fmt.Sprintf("grant lease %d for %d s", r.Lease, r.TTL)
	case Revoke:
		return fmt.Sprintf("revoke lease %d", r.Lease)
	case KeepAlive:
		return fmt.Sprintf("keep lease %d alive", r.Lease)
	case Compact:
		return fmt.Sprintf("compact at %d", r.At)
	}
	if r.Plain {
		text := r.Then[0].String()
		if r.At != 0 {
			text += fmt.Sprintf(" at %d", r.At)
		}
		if r.Weak {
			text += " (serializable)"
		}
		return text
	}
	var ifs []string
	for _, c := range r.Ifs {
		ifs = append(ifs, fmt.Sprintf("%q changed at %d", c.Key, c.Mod))
	}
	return fmt.Sprintf("if %s then %s else %s", strings.Join(ifs, " and "), actions(r.Then),
		actions(r.Else))
}

func actions(list []Action) string {
	var texts []string
	for i := range list {
		texts = append(texts, list[i].String())
	}
	return "(" + strings.Join(texts, "; ") + ")"
}

// String is an action in a few words.
func (a *Action) String() string {
	keys := span(a.From, a.To)
	switch a.Kind {
	case Put:
		text := fmt.Sprintf("put %s = %q", keys, a.Value)
		if a.Lease != 0 {
			text += fmt.Sprintf(" on lease %d", a.Lease)
		}
		return text
	case Delete:
		return "delete " + keys
	}
	if a.Limit > 0 {
		return fmt.Sprintf("get %s, %d at most", keys, a.Limit)
	}
	return "get " + keys
}

// span is a range as an Action has it.
func span(from, to string) string {
	switch to {
	case "":
		return fmt.Sprintf("%q", from)
	case "\x00":
		return fmt.Sprintf("from %q on", from)
	}
	return fmt.Sprintf("%q to %q", from, to)
}

// String is what an action came to.
func (p *Part) String() string {
	var list []string
	if p.Deleted > 0 {
		list = append(list, fmt.Sprintf("%d deleted", p.Deleted))
	}
	if len(p.Pairs) > 0 || p.Count > 0 {
		list = append(list, fmt.Sprintf("%d of %d", len(p.Pairs), p.Count), pairs(p.Pairs))
	}
	if p.More {
		list = append(list, "and more")
	}
	if len(p.Prev) > 0 {
		list = append(list, "before it "+pairs(p.Prev))
	}
	if len(list) == 0 {
		return "[nothing]"
	}
	return "[" + strings.Join(list, ", ") + "]"
}

// pairsShown is how many pairs of a long answer are told: those that changed last.
const pairsShown = 3

func pairs(list []Pair) string {
	last := slices.SortedStableFunc(slices.Values(list), func(a, b Pair) int {
		return cmp.Compare(b.Mod, a.Mod)
	})
	var texts []string
	for i := range last[:min(len(last), pairsShown)] {
		texts = append(texts, last[i].String())
	}
	if more := len(last) - len(texts); more > 0 {
		texts = append(texts, fmt.Sprintf("and %d that changed before", more))
	}
	return strings.Join(texts, ", ")
}

// differences tells what of an answer was to be another.
func differences(got, want []Part) string {
	var texts []string
	for i := range max(len(got), len(want)) {
		var g, w Part
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		texts = append(texts, lacks("wrong: ", g.Pairs, w.Pairs), lacks("due: ", w.Pairs, g.Pairs),
			lacks("before it, wrong: ", g.Prev, w.Prev), lacks("before it, due: ", w.Prev, g.Prev))
	}
	texts = slices.DeleteFunc(texts, func(text string) bool { return text == "" })
	return strings.Join(texts, "\n  ")
}

// lacks tells which of some pairs are not among others.
func lacks(title string, some, others []Pair) string {
	missing := slices.DeleteFunc(slices.Clone(some), func(p Pair) bool {
		return slices.Contains(others, p)
	})
	if len(missing) == 0 {
		return ""
	}
	return title + pairs(missing)
}

// String is a key, its value and what is known of it.
func (p *Pair) String() string {
	text := fmt.Sprintf("%s = %q (changed at %d, made at %d, version %d", p.Key, p.Value, p.Mod,
		p.Create, p.Version)
	if p.Lease != 0 {
		text += fmt.Sprintf(", lease %d", p.Lease)
	}
	return text + ")"
}

// String is what happened to a key.
func (e *Event) String() string {
	text := fmt.Sprintf("at %d %s = %q", e.Mod, e.Key, e.Value)
	if e.Deleted {
		text = fmt.Sprintf("at %d %s is deleted", e.Mod, e.Key)
	}
	if e.Prev.Version > 0 {
		text += fmt.Sprintf(", before it %v", &e.Prev)
	}
	return text
}

func events(list []Event) string {
	var texts []string
	for i := range list {
		texts = append(texts, list[i].String())
	}
	return strings.Join(texts, "; ")
}

func (w *Watch) String() string {
	return fmt.Sprintf("watch of %s from %d on node %d since %s", span(w.From, w.To), w.Start,
		w.Node+1, seconds(w.Begin))
}

// String is a response in a line.
func (t *Told) String() string {
	kind := map[bool]string{true: "progress"}[t.Progress]
	if t.Created {
		kind = "it is there"
	}
	return strings.TrimSpace(fmt.Sprintf("%s: up to %d %s%s", seconds(t.At), t.Revision, kind,
		events(t.Events)))
}
