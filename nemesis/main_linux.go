package main

import (
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/miruvor/miruvor/internal/history"
	"github.com/miruvor/miruvor/internal/history/drive"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/netlab"
)

// The exit codes.
const (
	exitBad        = 1
	exitUsage      = 2
	exitNotAllowed = 77
)

func main() {
	if os.Getenv(nodeVariable) != "" {
		os.Exit(nodeMain())
	}
	os.Exit(start())
}

// options are the flags.
type options struct {
	run
	shards int
	list   bool
	judge  string
}

func parse() (*options, error) {
	o := &options{run: run{say: os.Stdout}}
	c := &o.config
	flag.DurationVar(&o.time, "time", 2*time.Minute, "how long the schedule is")
	flag.Uint64Var(&c.seed, "seed", 1, "what schedule and load are drawn from")
	flag.IntVar(&c.nodes, "nodes", 3, "how many nodes, 3 to 9")
	flag.IntVar(&c.replicas, "replicas", 3, "how many of them hold a shard, at most")
	flag.IntVar(&o.shards, "shards", 4, "how many shards, 1 to 8")
	flag.StringVar(&c.readMode, "read-mode", "lease",
		"lease, or quorum: then clocks jump as well")
	flag.DurationVar(&o.pause, "pause", 30*time.Millisecond,
		"mean time between the calls of a client")
	flag.StringVar(&c.dir, "out", "", "new directory for data, logs, history and report")
	flag.BoolVar(&o.list, "list", false, "only print the schedule")
	flag.StringVar(&o.judge, "judge", "", "only judge a history.jsonl.gz again")
	only := flag.String("only", "", "the kinds of faults there are, with commas; all if empty")
	bug := flag.String("mutant", "", "a deliberate bug that the nodes have (internal/mutant)")
	flag.Parse()
	var err error
	if c.only, err = kindsNamed(*only); err != nil {
		return nil, err
	}
	if c.mutant, err = mutantNamed(*bug); err != nil {
		return nil, err
	}
	switch {
	case flag.NArg() > 0:
		return nil, fmt.Errorf("%q is no flag", flag.Arg(0))
	case c.nodes < 3 || c.nodes > 9:
		return nil, fmt.Errorf("-nodes is %d, it must be from 3 to 9", c.nodes)
	case c.replicas < 3 || c.replicas > c.nodes:
		return nil, fmt.Errorf("-replicas is %d, it must be from 3 to %d", c.replicas, c.nodes)
	case o.shards < 1 || o.shards > 8:
		return nil, fmt.Errorf("-shards is %d, it must be from 1 to 8", o.shards)
	case c.readMode != "lease" && c.readMode != "quorum":
		return nil, fmt.Errorf("-read-mode is %q, it must be lease or quorum", c.readMode)
	case o.pause <= 0:
		return nil, fmt.Errorf("-pause is %v, it must be more than 0", o.pause)
	case c.dir == "" && !o.list && o.judge == "":
		return nil, errors.New("-out is needed, a directory that is not there yet")
	}
	c.splitAt = drive.Splits(o.shards)
	c.small = (c.nodes - 1) / 2
	return o, nil
}

// kindsNamed are kinds of faults by their names, all if there is none.
func kindsNamed(list string) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	only := strings.Split(list, ",")
	for _, name := range only {
		if !slices.ContainsFunc(kinds, func(k kind) bool { return k.name == name }) {
			return nil, fmt.Errorf("-only: there is no kind of fault called %q", name)
		}
	}
	return only, nil
}

// mutantNamed is a bug by its name, none for "".
func mutantNamed(name string) (mutant.Mutant, error) {
	if name == "" {
		return mutant.None, nil
	}
	all := mutant.All()
	i := slices.IndexFunc(all, func(m mutant.Mutant) bool { return m.String() == name })
	if i < 0 {
		return mutant.None, fmt.Errorf("-mutant: there is no bug called %q", name)
	}
	return all[i], nil
}

func start() int {
	o, err := parse()
	if err != nil {
		fmt.Fprintln(os.Stderr, "nemesis:", err)
		return exitUsage
	}
	if o.list {
		newSchedule(o.config).list(os.Stdout, o.time)
		return 0
	}
	if o.judge != "" {
		return exitCode(judgeAgain(o.judge))
	}
	inside, code, err := netlab.Isolated()
	if err == nil && !inside {
		return code
	}
	if err == nil {
		err = o.runAndReport()
	}
	return exitCode(err)
}

// exitCode tells what went wrong.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "nemesis:", err)
	if errors.Is(err, netlab.ErrNotAllowed) {
		return exitNotAllowed
	}
	return exitBad
}

// errBad is a run that found something.
var errBad = errors.New("not all is well, see the report")

func (o *options) runAndReport() error {
	if err := os.Mkdir(o.config.dir, 0o755); err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := o.do(ctx); err != nil {
		return err
	}
	if err := o.writeHistory(); err != nil {
		return err
	}
	var v *history.Verdict
	if o.complete {
		v = o.history.Judge()
	}
	r := newReport(&o.run, v)
	if err := r.write(); err != nil {
		return err
	}
	fmt.Fprintf(o.say, "%s; %s/report.md\n", r.result(), o.config.dir)
	if len(r.problems) > 0 {
		return errBad
	}
	return nil
}

// judgeAgain judges a history that a run has written.
func judgeAgain(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	packed, err := gzip.NewReader(file)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	h, err := history.Read(packed)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	v := h.Judge()
	fmt.Printf("%d calls, %d answered; %d revisions up to %d; %d watches told %d times\n",
		v.Calls, v.Answered, v.Revisions, h.Seen(), v.Watches, v.Told)
	for _, p := range v.Problems {
		fmt.Printf("\n%.1f s: %v\n", p.At.Seconds(), p)
	}
	if len(v.Problems) > 0 {
		return fmt.Errorf("%d problems", len(v.Problems))
	}
	fmt.Println("nothing contradicts")
	return nil
}
