package sim

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"
	"time"
)

var (
	timeFlag     = flag.Duration("time", 0, "simulate for so long, instead of a number of seeds")
	crewsFlag    = flag.Int("crews", runtime.GOMAXPROCS(0), "processes that simulate")
	steeringFlag = flag.Bool("steering", true, "lean towards rare states that are seldom reached")
	failuresFlag = flag.Int("failures", 3, "end after this many failures")
	crewFlag     = flag.Bool("crew", false, "take jobs on standard input; the fleet sets it")
	fleetFlag    = flag.Bool("fleet", false, "simulate many seeds, with an account of them")
)

// TestFleet is `make sim`: many seeds in several processes, and an account of what they
// went through. A failure is shrunk.
func TestFleet(t *testing.T) {
	first, seeds, limit, account := *firstFlag, *seedsFlag, *timeFlag, os.Stdout
	if !*fleetFlag {
		first, seeds, limit, account = 0, 4, 0, nil
	}
	v := &voyage{first: first, seeds: seeds, begin: time.Now()}
	if limit > 0 {
		v.end = v.begin.Add(limit)
	}
	if err := v.run(*crewsFlag); err != nil {
		t.Fatal(err)
	}
	if account != nil {
		if err := v.tally.print(account, time.Since(v.begin)); err != nil {
			t.Fatal(err)
		}
	}
	for _, o := range v.tally.failures {
		t.Errorf("%v: %s\nreplay it with: %s", o.Sortie.short(), o.Err, o.Sortie.command())
	}
}

// voyage is one sailing of the fleet.
type voyage struct {
	first, seeds uint64
	// end is when there are no more jobs, if there is a time and no number.
	begin, end time.Time
	tally      tally
	helm       helm
}

func (v *voyage) run(crews int) error {
	v.helm.rng = rand.New(rand.NewPCG(v.first, 0xf1ee7))
	next := v.first
	f := fleet{
		crews: crews,
		next: func() (sortie, bool) {
			over := next >= v.first+v.seeds
			if !v.end.IsZero() {
				over = !time.Now().Before(v.end)
			}
			if over || len(v.tally.failures) >= *failuresFlag {
				return sortie{}, false
			}
			j := sortie{Seed: next, Mutant: *mutantFlag, Edits: *setFlag}
			next++
			if towards := v.helm.choose(&v.tally.runsWith); *steeringFlag && towards != NoRare {
				j.Steer = towards.String()
			}
			return j, true
		},
		done: func(o outcome) {
			v.tally.add(o)
			if o.Err != "" {
				fmt.Printf("FAILURE %s: %.2000s\nreplay it with: %s\n", o.Sortie.short(), o.Err,
					o.Sortie.command())
			}
		},
	}
	return f.run()
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
	o.Events, o.Ops = r.Trace.Events, len(r.History.Ops)
	o.Virtual = time.Duration(r.Ended)
	o.Coverage, o.Instances = r.Coverage, r.Instances
	if r.Err != nil {
		o.Err = r.Err.Error()
	}
	return o
}
