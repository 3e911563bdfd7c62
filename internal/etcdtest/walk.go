package etcdtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// How long a walk is.
const (
	stepsPlain    = 12
	stepsWatching = 16
)

// Walk draws a sequence of requests from seed and puts each to an etcd before
// it draws the next, since what is likely to conflict depends on the answers.
// It returns them with the answers. A seed always gives the same sequence.
func (r *Runner) Walk(ctx context.Context, seed uint64) (*Script, error) {
	w := &walker{
		runner: r,
		dice:   dice{Rand: rand.New(rand.NewPCG(seed, 0))},
		script: &Script{Name: fmt.Sprintf("seed %d", seed)},
	}
	r.streams = map[string]*stream{}
	if err := w.walk(ctx); err != nil {
		return nil, fmt.Errorf("seed %d: %w", seed, err)
	}
	w.script.Steps[0].Above = fmt.Sprintf("# Seed %d.\n", seed)
	return w.script, nil
}

type walker struct {
	runner *Runner
	dice   dice
	script *Script
	// waiting tells of each stream that was opened whether a watch of it may
	// wait for a revision that has not come. compacted tells whether one may
	// have been canceled for what was compacted.
	waiting   map[string]bool
	compacted bool
}

func (w *walker) walk(ctx context.Context) error {
	w.waiting, w.dice.at = map[string]bool{}, firstRevision
	if err := w.put(ctx, verbBegin); err != nil {
		return err
	}
	for _, request := range w.dice.opening() {
		if err := w.put(ctx, request); err != nil {
			return err
		}
	}
	draw, steps := w.dice.request, stepsPlain
	if w.dice.IntN(3) == 0 {
		draw, steps = w.watching, stepsWatching
	}
	for range steps {
		request := draw()
		if compacts := strings.HasPrefix(request, "Compact"); compacts || cancels(request) {
			// It may end watches that have not told everything yet.
			w.compacted = w.compacted || compacts
			if err := w.receiveAll(ctx); err != nil {
				return err
			}
		}
		if err := w.put(ctx, request); err != nil {
			return err
		}
	}
	if err := w.receiveAll(ctx); err != nil {
		return err
	}
	for _, name := range streamNames {
		if w.runner.streams[name] != nil {
			if err := w.put(ctx, verbClose+" "+name); err != nil {
				return err
			}
		}
	}
	return nil
}

// put does the request and notes it with its answer, which may tell the
// current revision.
func (w *walker) put(ctx context.Context, request string) error {
	answer, err := w.runner.do(ctx, request, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", request, err)
	}
	w.script.add(request, answer)
	if told, ok := strings.CutPrefix(answer, "rev="); ok {
		digits := strings.FieldsFunc(told, func(r rune) bool { return r < '0' || r > '9' })[0]
		rev, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			return err
		}
		w.dice.at = max(w.dice.at, rev)
	}
	return nil
}

func (w *walker) receiveAll(ctx context.Context) error {
	for _, name := range streamNames {
		if w.runner.streams[name] == nil {
			continue
		}
		if err := w.put(ctx, verbRecv+" "+name); err != nil {
			return err
		}
	}
	return nil
}

var streamNames = []string{"s", "t"}

// watching draws a request about watches, or another, more often a write.
func (w *walker) watching() string {
	name := streamNames[w.dice.IntN(len(streamNames))]
	open := w.runner.streams[name]
	switch chance := w.dice.IntN(20); {
	case chance < 4 || open == nil && chance < 6:
		return w.createWatches(name)
	case chance < 6:
		return verbRecv + " " + name
	case chance < 7 && open != nil:
		alive := open.told.alive()
		if len(alive) > 0 && !w.waiting[name] && !w.compacted {
			// Of any other stream, etcd leaves the request unanswered.

			return fmt.Sprintf("%s %s\nprogress", verbWatch, name)
		}
	case chance < 8 && open != nil:
		if alive := open.told.alive(); len(alive) > 0 {
			id := alive[w.dice.IntN(len(alive))]
			return fmt.Sprintf("%s %s\ncancel watch_id:%d", verbWatch, name, id)
		}
	case chance < 16:
		return w.dice.write()
	}
	return w.dice.request()
}

func (w *walker) createWatches(name string) string {
	var out strings.Builder
	out.WriteString(verbWatch + " " + name)
	for range 1 + w.dice.IntN(3) {
		line, start := w.dice.watch()
		out.WriteString("\n" + line)
		w.waiting[name] = w.waiting[name] || start > w.dice.at
	}
	return out.String()
}
