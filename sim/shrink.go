package sim

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

// shrinker reduces a run that fails to a smaller one that fails alike: fewer who work,
// fewer kinds of faults, fewer faults of each, less time, fewer nodes. Each step changes
// the run's way, so what is smaller is tried several times, with other salts.
type shrinker struct {
	// try runs configurations until one fails as wanted, and tells which; -1 for none.
	try func(candidates []Config, wanted string) (int, string)
	// left is how many runs may still be tried, end when there is no more time.
	left int
	end  time.Time
	// instances are how many faults of each kind there were.
	instances []int
}

// saltsPerStep is how many ways each smaller configuration is tried.
const saltsPerStep = 4

// kindOfFailure is what two failures have in common that are alike: the beginning of
// the first line of the objection, whatever its numbers.
func kindOfFailure(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	text = numbers.ReplaceAllString(text, "#")
	return text[:min(len(text), 24)]
}

var numbers = regexp.MustCompile(`[0-9]+`)

// shrink returns the smallest configuration that it finds, and how that fails.
func (s *shrinker) shrink(cfg Config, failure string) (Config, string) {
	wanted := kindOfFailure(failure)
	for progress := true; progress; {
		progress = false
		for _, step := range smaller(&cfg, s.instances) {
			next := cfg
			step(&next)
			if next.editsText(&cfg) == "" || s.over() {
				continue
			}
			candidates := salted(next)
			s.left -= len(candidates)
			if i, text := s.try(candidates, wanted); i >= 0 {
				cfg, failure, progress = candidates[i], text, true
			}
		}
	}
	return cfg, failure
}

// over reports whether what is smallest so far has to do.
func (s *shrinker) over() bool { return s.left <= 0 || !time.Now().Before(s.end) }

// salted are a configuration's ways.
func salted(cfg Config) []Config {
	list := make([]Config, saltsPerStep)
	for i := range list {
		list[i] = cfg
		if i > 0 {
			list[i].Salt = cfg.Salt + uint64(i)
		}
	}
	return list
}

// smaller are ways to make a configuration smaller, the boldest first.
func smaller(cfg *Config, instances []int) []func(*Config) {
	var steps []func(*Config)
	steps = append(steps, noFaults()...)
	steps = append(steps, fewerWorkers()...)
	steps = append(steps,
		func(c *Config) { c.Load.Length = max(time.Second, c.Load.Length/2) },
		func(c *Config) { c.Load.Length = max(time.Second, c.Load.Length*3/4) },
		func(c *Config) { c.Shape.Shards = 1 },
		func(c *Config) { c.Shape.Shards = max(1, c.Shape.Shards-1) },
		func(c *Config) { c.Shape.Workers = 1 },
		func(c *Config) {
			c.Shape.Nodes, c.Shape.Replicas = min(c.Shape.Nodes, 3), min(c.Shape.Replicas, 3)
		},
		func(c *Config) { c.Load.Keys = max(2, c.Load.Keys/2) },
		func(c *Config) { c.Load.Think = min(2*c.Load.Think, 400*time.Millisecond) },
	)
	return append(steps, fewerInstances(cfg, instances)...)
}

// noFaults leave out all faults, or one kind.
func noFaults() []func(*Config) {
	steps := []func(*Config){
		func(c *Config) { c.Faults = Faults{Down: c.Faults.Down} },
		func(c *Config) { c.Net.Slow, c.Net.Drop, c.Net.Duplicate, c.Net.Ordered = 0, 0, 0, true },
	}
	for _, name := range slices.Sorted(maps.Keys(new(Config).faultFields())) {
		steps = append(steps, func(c *Config) {
			reflect.ValueOf(c.faultFields()[name]).Elem().SetZero()
		})
	}
	return steps
}

// fewerWorkers leave out a kind of those who use the cluster, or some of them.
func fewerWorkers() []func(*Config) {
	var steps []func(*Config)
	for _, name := range []string{
		"watchers", "janitors", "keepers", "wardens", "bankers", "listers", "counters",
	} {
		steps = append(steps,
			func(c *Config) { *c.fields()[name].(*int) = 0 },
			func(c *Config) { *c.fields()[name].(*int) /= 2 })
	}
	return append(steps,
		func(c *Config) { c.Load.Clients = c.Load.tasks() },
		func(c *Config) { c.Load.Clients = max(1, c.Load.tasks(), c.Load.Clients/2) },
		func(c *Config) { c.Load.Clients = max(1, c.Load.tasks(), c.Load.Clients-1) },
		func(c *Config) { c.Load.Plain = true },
	)
}

// fewerInstances leave out half of the faults that are left of a kind, or one.
func fewerInstances(cfg *Config, instances []int) []func(*Config) {
	var steps []func(*Config)
	for kind, n := range instances {
		var left []int
		for i := range min(n, instancesMax) {
			if id := kind*instancesMax + i; !slices.Contains(cfg.Without, id) {
				left = append(left, id)
			}
		}
		parts := [][]int{left[:len(left)/2], left[len(left)/2:]}
		if len(left) <= 8 {
			for _, id := range left {
				parts = append(parts, []int{id})
			}
		}
		for _, part := range parts {
			steps = append(steps, func(c *Config) {
				c.Without = append(slices.Clone(c.Without), part...)
				slices.Sort(c.Without)
				c.Without = slices.Compact(c.Without)
			})
		}
	}
	return steps
}
