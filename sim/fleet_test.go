package sim

import (
	"bufio"
	"encoding/json"
	"flag"
	"io"
	"os"
	"runtime"
	"testing"
	"time"
)

var (
	timeFlag       = flag.Duration("time", 0, "simulate for so long, instead of a number of seeds")
	crewsFlag      = flag.Int("crews", runtime.GOMAXPROCS(0), "processes that simulate")
	steeringFlag   = flag.Bool("steering", true, "lean towards rare states that are seldom reached")
	shrinkFlag     = flag.Int("shrink", 400, "runs to shrink a failure with; 0 leaves it as it is")
	shrinkTimeFlag = flag.Duration("shrinktime", time.Minute, "time to shrink a failure in")
	failuresFlag   = flag.Int("failures", 3, "end after this many failures")
	crewFlag       = flag.Bool("crew", false, "take jobs on standard input; the fleet sets it")
	fleetFlag      = flag.Bool("fleet", false, "simulate many seeds, with an account of them")
)

// TestFleet is `make sim`: many seeds in several processes, and an account of what they
// went through. A failure is shrunk.
func TestFleet(t *testing.T) {
	v := &voyage{seeds: 2, log: io.Discard, steering: true, failuresMax: 1}
	if *fleetFlag {
		v = &voyage{
			first: *firstFlag, seeds: *seedsFlag, log: os.Stdout, steering: *steeringFlag,
			failuresMax: *failuresFlag, shrinks: 1, shrinkRuns: *shrinkFlag,
			shrinkTime: *shrinkTimeFlag,
			like:       sortie{Mutant: *mutantFlag, Edits: *setFlag},
		}
	}
	v.fleet.crews, v.begin = make([]*crew, *crewsFlag), time.Now()
	if *timeFlag > 0 {
		v.end = v.begin.Add(*timeFlag)
	}
	if err := v.run(); err != nil {
		t.Fatal(err)
	}
	for _, o := range v.tally.failures {
		t.Errorf("%v: %s\nreplay it with: %s", o.Sortie.short(), o.Err, o.Sortie.command())
	}
	if v.tally.runs == 0 || v.tally.virtual == 0 || v.tally.Faults == [faultKinds]int{} {
		t.Error("nothing happened")
	}
}

// TestCrew is the part of the fleet that runs in a process of its own.
func TestCrew(t *testing.T) {
	if !*crewFlag {
		t.Skip("for the fleet")
	}
	answers := json.NewEncoder(os.NewFile(3, "answers"))
	for jobs := bufio.NewScanner(os.Stdin); jobs.Scan(); {
		var j sortie
		if err := json.Unmarshal(jobs.Bytes(), &j); err != nil {
			t.Fatal(err)
		}
		if err := answers.Encode(doJob(t, j)); err != nil {
			t.Fatal(err)
		}
	}
}

func doJob(t *testing.T, j sortie) outcome {
	o := outcome{Sortie: j}
	cfg, err := j.config()
	if err != nil {
		o.Err = err.Error()
		return o
	}
	begin := time.Now()
	r := run(t, cfg)
	o.Took = time.Since(begin)
	o.Events, o.Deeds, o.Calm = r.Trace.Events, deedsOf(&r.History), cfg.Calm()
	o.Virtual = time.Duration(r.Ended)
	o.Coverage, o.Instances = r.Coverage, r.Instances
	if r.Err != nil {
		o.Err = printable(r.Err.Error())
	}
	o.Story = r.Story(j.Story)
	return o
}
