package sim

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// fleet simulates many runs at once, each crew one after the other. Raft draws from a
// source of chance that a process has one of, so a crew is a process: the same test
// binary once more, which takes jobs on its standard input and answers on file 3.
//
//	fleet ──sortie──> crew (TestCrew) ──outcome──> fleet ──> tally ──> the next jobs
//
// A sortie says all that decides its run.
type fleet struct {
	// crews are the processes, nil where there is none yet.
	crews []*crew
}

// orders are what a fleet sails for.
type orders struct {
	// next tells the next sortie; false that there is none.
	next func() (sortie, bool)
	// done is told of each run, one at a time.
	done func(outcome)

	mu    sync.Mutex
	ended bool
}

// sortie is one run: its seed, what it leans towards, and what is changed after that.
type sortie struct {
	Seed   uint64
	Steer  string `json:",omitempty"`
	Mutant string `json:",omitempty"`
	Edits  string `json:",omitempty"`
	// Story asks for so many lines of what led to a failure, without routine.
	Story int `json:",omitempty"`
}

// outcome is what came of a sortie.
type outcome struct {
	Sortie    sortie
	Events    int
	Deeds     deeds
	Calm      bool
	Virtual   time.Duration
	Took      time.Duration
	Err       string `json:",omitempty"`
	Story     string `json:",omitempty"`
	Coverage  Coverage
	Instances []int
}

// jobMax is how long a run may take before it counts as stuck, if others need the
// processors too.
const jobMax = 5 * time.Minute

// run goes on until there are no more sorties.
func (f *fleet) run(o *orders) error {
	errs := make([]error, len(f.crews))
	var crews sync.WaitGroup
	for i := range f.crews {
		crews.Go(func() { errs[i] = f.sail(&f.crews[i], o) })
	}
	crews.Wait()
	return errors.Join(errs...)
}

// stop ends all processes.
func (f *fleet) stop() {
	for _, c := range f.crews {
		c.stop()
	}
}

// sail gives sorties to one process after the other: one that dies or is stuck fails its
// sortie.
func (f *fleet) sail(c **crew, o *orders) error {
	for {
		s, ok := o.take()
		if !ok {
			return nil
		}
		if *c == nil {
			var err error
			if *c, err = startCrew(); err != nil {
				return err
			}
		}
		done, err := (*c).do(s)
		if err != nil {
			(*c).stop()
			*c = nil
			done = outcome{Sortie: s, Err: err.Error()}
		}
		o.tell(done)
	}
}

func (o *orders) take() (sortie, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		return sortie{}, false
	}
	s, ok := o.next()
	o.ended = !ok
	return s, ok
}

func (o *orders) tell(done outcome) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.done(done)
}

// crew is a process that takes jobs.
type crew struct {
	process *exec.Cmd
	jobs    io.WriteCloser
	answers *bufio.Scanner
	pipe    *os.File
	output  *tailBuffer
}

func startCrew() (*crew, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("crew: %w", err)
	}
	defer func() { _ = w.Close() }()
	c := &crew{pipe: r, answers: bufio.NewScanner(r), output: &tailBuffer{}}
	c.answers.Buffer(nil, 16<<20)
	c.process = exec.Command(os.Args[0], "-test.run=^TestCrew$", "-test.timeout=0", "-crew")
	// One thread each, and a heap that may grow: runs make much garbage and keep little.
	c.process.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=800",
		"GODEBUG=asyncpreemptoff=1")
	c.process.ExtraFiles = []*os.File{w}
	c.process.Stdout, c.process.Stderr = c.output, c.output
	if c.jobs, err = c.process.StdinPipe(); err == nil {
		err = c.process.Start()
	}
	if err != nil {
		_ = r.Close()
		return nil, fmt.Errorf("crew: %w", err)
	}
	return c, nil
}

// do has the crew make a sortie, and waits for what comes of it.
func (c *crew) do(s sortie) (outcome, error) {
	late := time.AfterFunc(jobMax, func() { _ = c.process.Process.Kill() })
	defer late.Stop()
	var o outcome
	if err := json.NewEncoder(c.jobs).Encode(s); err != nil {
		return o, fmt.Errorf("the process died: %w\n%s", err, c.output)
	}
	if !c.answers.Scan() {
		return o, fmt.Errorf("the process died, or was stuck for %v\n%s", jobMax, c.output)
	}
	if err := json.Unmarshal(c.answers.Bytes(), &o); err != nil {
		return o, fmt.Errorf("answer of a crew: %w", err)
	}
	return o, nil
}

// stop ends the process, if there is one, and waits for it.
func (c *crew) stop() {
	if c == nil {
		return
	}
	_ = c.jobs.Close()
	late := time.AfterFunc(5*time.Second, func() { _ = c.process.Process.Kill() })
	_ = c.process.Wait() // what became of its jobs is known
	late.Stop()
	_ = c.pipe.Close()
}

// tailBuffer keeps the last that was written to it.
type tailBuffer struct {
	mu   sync.Mutex
	tail []byte
}

// tailMax is how much a tailBuffer keeps.
const tailMax = 8 << 10

func (b *tailBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tail = append(b.tail, p...)
	b.tail = b.tail[max(0, len(b.tail)-tailMax):]
	return len(p), nil
}

func (b *tailBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.tail)
}

// helm chooses what the next run leans towards: nothing in every other one, and else any
// state, or one that was seldom reached so far, a gap most likely of all.
type helm struct {
	rng *rand.Rand
}

func (h *helm) choose(reached *[rares]int) Rare {
	if h.rng.IntN(2) == 0 {
		return NoRare
	}
	if h.rng.IntN(3) == 0 {
		return NoRare + 1 + Rare(h.rng.IntN(int(rares-1)))
	}
	total := 0.0
	for _, r := range allRares() {
		total += 1 / float64(1+reached[r])
	}
	at := h.rng.Float64() * total
	for _, r := range allRares() {
		if at -= 1 / float64(1+reached[r]); at < 0 {
			return r
		}
	}
	return NoRare
}

// rareNamed is the state of a name, NoRare for "" or "none".
func rareNamed(name string) (Rare, error) {
	if name == "" || name == NoRare.String() {
		return NoRare, nil
	}
	for _, r := range allRares() {
		if r.String() == name {
			return r, nil
		}
	}
	return NoRare, fmt.Errorf("rare state %q is unknown; there are %v", name, allRares())
}

// config is what a sortie is to simulate.
func (s sortie) config() (Config, error) {
	towards, err := rareNamed(s.Steer)
	if err != nil {
		return Config{}, err
	}
	cfg := Steered(s.Seed, towards)
	m, err := mutantNamed(s.Mutant)
	if err != nil {
		return Config{}, err
	}
	cfg.Mutant = m
	if s.Story > 0 {
		cfg.Trace, cfg.Brief = traceWhole, true
	}
	return cfg, cfg.edit(s.Edits)
}

// command replays a sortie.
func (s sortie) command() string {
	var text strings.Builder
	text.WriteString(fmt.Sprintf("go test ./sim -run TestSeeds -seed %d", s.Seed))
	for _, flag := range [...]struct{ name, value string }{
		{"steer", s.Steer}, {"plain -mutant", s.Mutant}, {"set", s.Edits},
	} {
		if flag.value != "" {
			text.WriteString(fmt.Sprintf(" -%s %s", flag.name, flag.value))
		}
	}
	return text.String()
}
