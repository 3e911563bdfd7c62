package sim

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"
)

// Trace is what happened in a run: a hash over all of it, and if it is kept,
// the last events in words. Two runs that took the same way have one hash.
type Trace struct {
	Hash   uint64
	Events int
	// keep is how many lines are kept; 0 for none.
	keep int
	// brief leaves out what the core says of raft's everyday life.
	brief bool
	lines []traceLine
	now   func() Time
}

// traceLine is an event in words.
type traceLine struct {
	at   Time
	text string
}

func (l traceLine) String() string {
	return fmt.Sprintf("%11.6f %s", time.Duration(l.at).Seconds(), l.text)
}

const (
	hashOffset = 14695981039346656037
	hashPrime  = 1099511628211
)

func newTrace(keep int, brief bool) *Trace {
	return &Trace{Hash: hashOffset, keep: keep, brief: brief}
}

// note takes an event into the hash: what it is, where, and two numbers that
// tell it from others.
func (t *Trace) note(what string, node uint64, a, b uint64) {
	t.Events++
	h := t.Hash
	for i := range len(what) {
		h = (h ^ uint64(what[i])) * hashPrime
	}
	for _, n := range [...]uint64{uint64(t.now()), node, a, b} {
		h = (h ^ n) * hashPrime
		h ^= h >> 29
	}
	t.Hash = h
}

// wordy reports whether lines are kept, so that nobody formats in vain.
func (t *Trace) wordy() bool { return t.keep > 0 }

// sayf keeps a line.
func (t *Trace) sayf(format string, args ...any) {
	if !t.wordy() {
		return
	}
	t.lines = append(t.lines, traceLine{at: t.now(), text: fmt.Sprintf(format, args...)})
	if len(t.lines) >= 2*t.keep {
		t.lines = append(t.lines[:0], t.lines[len(t.lines)-t.keep:]...)
	}
}

// String is the lines that are kept.
func (t *Trace) String() string { return t.tail(t.keep) }

// tail is the last lines, each with a newline.
func (t *Trace) tail(lines int) string {
	var text strings.Builder
	for _, line := range t.lines[max(0, len(t.lines)-lines):] {
		text.WriteString(line.String() + "\n")
	}
	return printable(text.String())
}

// printable is a text with the bytes of odd keys written out.
func printable(text string) string {
	var b strings.Builder
	for i, r := range text {
		switch _, size := utf8.DecodeRuneInString(text[i:]); {
		case r == utf8.RuneError && size == 1, r < ' ' && r != '\n' && r != '\t':
			fmt.Fprintf(&b, "\\x%02x", text[i])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// logger is a logger whose lines go into the trace.
func (t *Trace) logger(node fmt.Stringer) *slog.Logger {
	if !t.wordy() {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(&traceHandler{trace: t, prefix: node.String()})
}

// traceHandler is a slog.Handler that writes into a trace.
type traceHandler struct {
	trace  *Trace
	prefix string
}

var _ slog.Handler = (*traceHandler)(nil)

func (h *traceHandler) Enabled(_ context.Context, level slog.Level) bool {
	return !h.trace.brief || level > slog.LevelDebug
}

func (h *traceHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value.Resolve())
		return true
	})
	h.trace.sayf("%s · %s%s", h.prefix, r.Message, b.String())
	return nil
}

func (h *traceHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	for _, a := range attrs {
		next.prefix += fmt.Sprintf(" %s=%v", a.Key, a.Value)
	}
	return &next
}

func (h *traceHandler) WithGroup(string) slog.Handler { return h }
