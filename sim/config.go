package sim

import (
	"math/rand/v2"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/oracle"
	"github.com/miruvor/miruvor/internal/replica"
)

// Config is one run. Two runs of equal configurations are equal.
type Config struct {
	Seed   uint64
	Shape  Shape
	Sizes  Sizes
	Load   Load
	Net    Net
	Faults Faults
	// Drift is how far a clock's rate may be from 1. Two clocks of rates
	// 1-Drift and 1+Drift must keep the lease's bound, unless ReadMode trusts
	// no clock.
	Drift    float64
	ReadMode replica.ReadMode
	Mutant   mutant.Mutant
	Edits
	// Trace is how many lines are kept of what happened, 0 for none; Brief leaves out
	// what happens all the time.
	Trace int
	Brief bool
}

// Edits make a run another one that is alike, to reduce a failure.
type Edits struct {
	// Salt has the same configuration take another way.
	Salt uint64
	// Without are faults that are left out, each by the number of its kind and how
	// many came before it (see plague).
	Without []int
}

// Shape is what the cluster is made of.
type Shape struct {
	Nodes, Workers, Shards, Replicas int
}

// Sizes are those of what a short run would never fill.
type Sizes struct {
	// Segment is the size of a file of the log, in bytes.
	Segment int64
	// Window is how far the oracle's mark runs ahead at most, 0 for as far as in a
	// real node.
	Window kv.Revision
	// Part is how many keys of a range are read in one go.
	Part int
	// Value is the longest value that a replica remembers, in bytes, 0 for as long as in
	// a real node.
	Value int
	// Tail is how many entries of the log are kept for who lags: behind them it needs a
	// snapshot.
	Tail uint64
	// Keep is how long the outcomes of transactions over several shards are kept at
	// least, 0 for as long as in a real node. Clients wait for less then.
	Keep time.Duration
}

// segmentSmallest is the least that a log takes.
const segmentSmallest = 4 << 10

// oracleWindow begins small, and stays so.
func (s Sizes) oracleWindow() oracle.Window {
	return oracle.Window{First: min(s.Window, 4), Max: s.Window}
}

// Load is what clients do.
type Load struct {
	// Clients work for Length; each has one operation under way.
	Clients int
	Length  time.Duration
	// Watchers are clients that watch, and write nothing.
	Watchers int
	// Think is the mean pause between two operations.
	Think time.Duration
	// Keys is how many keys there are, spread over all shards.
	Keys int
	// Janitors compact, Keepers hold leases, Wardens raise and clear alarms.
	Janitors, Keepers, Wardens int
	// Of the clients, Bankers transfer money, Listers append to lists, and
	// Counters count.
	Bankers, Listers, Counters int
	// Plain leaves only puts, gets, deletes and compare-and-sets of one key,
	// and of compares only those of versions and values.
	Plain bool
}

// Net is how messages travel.
type Net struct {
	// DelayMin and DelayMean are those of most messages; with probability
	// Slow one takes up to DelayMax.
	DelayMin, DelayMean, DelayMax time.Duration
	Slow, Drop, Duplicate         float64
	// Ordered keeps the messages of a link in their order.
	Ordered bool
}

// Faults are the mean times between two of a kind; 0 is never.
type Faults struct {
	// Crash stops a node at any effect, PowerLoss all of them at once.
	Crash, PowerLoss time.Duration
	// Wipe takes a node's directory away, Handover stops a node in order, Move
	// has it hand over and go on.
	Wipe, Handover, Move time.Duration
	// Pause stops a node's threads, not its clock.
	Pause time.Duration
	// Partition cuts links, in one or both directions.
	Partition time.Duration
	// Stall makes a disk slow.
	Stall time.Duration
	// Hold has a node's writes wait, as if its engine or its log were behind; at times it
	// takes no entries of others either.
	Hold time.Duration
	// Down is the mean time that a crashed node stays away, if not 300 ms.
	Down time.Duration
	Strikes
	Odds
}

// Strikes are the mean times between two of what waits for its moment.
type Strikes struct {
	// Betray crashes a voter just when that could end a lease early.
	Betray time.Duration
	// Depose keeps a leader apart from all or most others until another leads.
	Depose time.Duration
	// Ambush strikes a node at a step of a transaction over several shards, at
	// the one that At tells, or any.
	Ambush time.Duration
	At     Ambush
}

// Odds are the probabilities of what may go wrong with something that happens anyway.
type Odds struct {
	// With Lag a message of a transaction over several shards is late, or comes
	// once more later.
	Lag float64
	// Snapshots fail half way with StreamFailure, and take seconds with StreamSlow; a
	// voter dies with VoterCrash just when it has told its vote.
	StreamFailure, StreamSlow, VoterCrash float64
	// With WriteCrash a node dies between an append and its sync, or between a snapshot
	// and its record; at times others with it.
	WriteCrash float64
	// With FreshCut nobody hears of a leader for a while that has just begun to lead.
	FreshCut float64
	// With Tear a crash tears what was written and not synced at any byte.
	Tear float64
}

// Calm reports whether nothing ever goes wrong.
func (c *Config) Calm() bool {
	return c.Faults.none() && c.Net.Drop == 0 && c.Net.Duplicate == 0 && c.Net.Ordered
}

// none reports whether there are no faults. A torn write needs a crash.
func (f Faults) none() bool {
	f.Tear = 0
	return f == Faults{}
}

// driftMax keeps the lease's bound: (1+d)/(1-d) < Lease/(Lease-Drift) = 10/9.
const driftMax = 0.05

// Random is the configuration of a seed: every fault now and then, and at
// times none.
func Random(seed uint64) Config {
	rng := rand.New(rand.NewPCG(seed, 0xc0f))
	cfg := Config{
		Seed:   seed,
		Shape:  randomShape(rng),
		Sizes:  randomSizes(rng),
		Load:   Load{Clients: 4 + rng.IntN(6), Length: 8 * time.Second, Keys: 4 + rng.IntN(16)},
		Net:    randomNet(rng),
		Faults: randomFaults(rng),
		Drift:  driftMax * 0.99 * rng.Float64(),
	}
	cfg.Load.Think = time.Duration(20+rng.IntN(120)) * time.Millisecond
	if rng.IntN(4) == 0 {
		cfg.Load.Think = time.Duration(5+rng.IntN(15)) * time.Millisecond
	}
	randomTasks(rng, &cfg.Load)
	if cfg.Faults.none() && rng.IntN(2) == 0 {
		cfg.Net.Drop, cfg.Net.Duplicate, cfg.Net.Ordered = 0, 0, true
	}
	if rng.IntN(2) == 0 {
		cfg.Load.Janitors = 1 + rng.IntN(2)
	}
	if rng.IntN(2) == 0 {
		cfg.Load.Keepers = 1 + rng.IntN(3)
	}
	if rng.IntN(4) == 0 {
		cfg.ReadMode = replica.ReadQuorum
		cfg.Drift = 0.5 * rng.Float64()
	}
	cfg.Load.Watchers = max(0, rng.IntN(5)-1)
	cfg.Load.Wardens = max(0, rng.IntN(4)-1)
	if rng.IntN(3) == 0 {
		cfg.Drift = 0 // so that the ends of leases are known to the millisecond
	}
	cfg.Sizes.Value = []int{0, 8, 16}[rng.IntN(3)]
	cfg.Sizes.Tail = []uint64{20, 3, 3}[rng.IntN(3)]
	return cfg
}

// randomTasks adds clients with tasks of their own, in every other run.
func randomTasks(rng *rand.Rand, l *Load) {
	if rng.IntN(2) == 0 {
		return
	}
	l.Bankers, l.Listers, l.Counters = rng.IntN(4), rng.IntN(4), rng.IntN(3)
	l.Clients = max(2, l.Clients-l.tasks()) + l.tasks()
}

func randomShape(rng *rand.Rand) Shape {
	s := Shape{Nodes: 3, Workers: 1 + rng.IntN(2), Shards: 1 + rng.IntN(4), Replicas: 3}
	switch rng.IntN(10) {
	case 0:
		s.Nodes, s.Replicas = 1, 1
	case 1:
		s.Nodes = 5
	case 2:
		s.Nodes, s.Replicas = 5, 5
	}
	return s
}

// ampleSizes are those that a run seldom fills.
func ampleSizes() Sizes { return Sizes{Segment: 64 << 10, Part: 10_000, Tail: 20} }

func randomSizes(rng *rand.Rand) Sizes {
	return Sizes{
		Segment: []int64{64 << 10, 16 << 10, segmentSmallest}[rng.IntN(3)],
		Window:  []kv.Revision{0, 0, 4, 64}[rng.IntN(4)],
		Part:    []int{10_000, 3}[rng.IntN(2)],
	}
}

func randomNet(rng *rand.Rand) Net {
	n := Net{
		Ordered:  rng.IntN(2) == 0,
		DelayMin: 100 * time.Microsecond, DelayMean: time.Millisecond,
		DelayMax: 100 * time.Millisecond,
	}
	if rng.IntN(2) == 0 {
		n.Slow = 0.05 * rng.Float64()
	}
	if rng.IntN(2) == 0 {
		n.Drop = 0.05 * rng.Float64()
	}
	if rng.IntN(2) == 0 {
		n.Duplicate = 0.05 * rng.Float64()
	}
	return n
}

// meanTime is a mean time between two faults in one of so many runs, and 0 for never in the
// others.
func meanTime(rng *rand.Rand, oneIn int, low, high time.Duration) time.Duration {
	if rng.IntN(oneIn) > 0 {
		return 0
	}
	return low + time.Duration(rng.Int64N(int64(high-low)))
}

// randomFaults draws how often what goes wrong. Random draws more after it, so that a draw
// added here gives every seed another configuration.
func randomFaults(rng *rand.Rand) Faults {
	var f Faults
	if rng.IntN(8) == 0 {
		return f
	}
	draw := func(oneIn int, low, high time.Duration) time.Duration {
		return meanTime(rng, oneIn, low, high)
	}
	f.Crash = draw(2, time.Second, 4*time.Second)
	f.PowerLoss = draw(4, 2*time.Second, 6*time.Second)
	f.Wipe = draw(4, 2*time.Second, 8*time.Second)
	f.Handover = draw(4, time.Second, 5*time.Second)
	f.Pause = draw(3, time.Second, 4*time.Second)
	f.Partition = draw(2, time.Second, 4*time.Second)
	f.Stall = draw(3, time.Second, 4*time.Second)
	f.Betray = draw(4, time.Second, 4*time.Second)
	f.Ambush = draw(2, 300*time.Millisecond, 3*time.Second)
	f.Lag = []float64{0, 0, 0.02, 0.2}[rng.IntN(4)]
	f.StreamFailure = []float64{0, 0.3}[rng.IntN(2)]
	f.VoterCrash = []float64{0, 0, 0.1}[rng.IntN(3)]
	f.Move = draw(3, time.Second, 4*time.Second)
	f.Tear = []float64{0, 0.5}[rng.IntN(2)]
	f.StreamSlow = []float64{0, 0, 0.5}[rng.IntN(3)]
	f.WriteCrash = []float64{0, 0, 0.002, 0.01}[rng.IntN(4)]
	f.FreshCut = []float64{0, 0, 0, 0.3}[rng.IntN(4)]
	f.Hold = draw(4, time.Second, 4*time.Second)
	f.Depose = draw(2, 700*time.Millisecond, 3*time.Second)
	return f
}
