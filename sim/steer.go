package sim

import (
	"math/rand/v2"
	"time"

	"github.com/miruvor/miruvor/internal/replica"
)

// Steered is the configuration of a seed that leans towards a rare state: the random one,
// with more of what brings that about. It is a function of its arguments alone, so that
// seed and state replay a run.
func Steered(seed uint64, towards Rare) Config {
	cfg := Random(seed)
	lean := leans[towards]
	if lean == nil {
		return cfg
	}
	if cfg.Shape.Nodes == 1 {
		cfg.Shape.Nodes, cfg.Shape.Replicas = 3, 3
	}
	lean(&cfg, rand.New(rand.NewPCG(seed, 0x1ea)))
	return cfg
}

// often is a short mean time between two faults.
func often(rng *rand.Rand) time.Duration {
	return 300*time.Millisecond + time.Duration(rng.Int64N(int64(700*time.Millisecond)))
}

// leans say what brings a state about.
var leans = [rares]func(cfg *Config, rng *rand.Rand){
	SnapshotDuringElection:   slowSnapshots,
	SnapshotOfDeposed:        slowSnapshots,
	SnapshotOfLaggard:        laggards,
	SnapshotOverMemory:       laggards,
	CompactionDuringSnapshot: compactedSnapshots,
	SweepDuringSnapshot:      compactedSnapshots,
	LocksDuringSnapshot:      lockedSnapshots,
	CrashDuringInstall:       slowSnapshots,
	ConflictingTail:          rivals,
	ConflictingTerms:         rivals,
	ChangeOverwritten:        changesAmidRivals,
	TwoLeaders: func(cfg *Config, rng *rand.Rand) {
		cfg.Faults.Partition, cfg.Faults.Pause = often(rng), often(rng)
	},
	DeposedInFlight: rivals,
	PromiseAsked: func(cfg *Config, rng *rand.Rand) {
		manyShards(cfg)
		cfg.Faults = Faults{Strikes: Strikes{Betray: often(rng)}}
	},
	TransferDuringPrepare: transfersAmidTxns,
	TransferLost: func(cfg *Config, rng *rand.Rand) {
		manyShards(cfg)
		cfg.Faults = Faults{Handover: often(rng) / 2, Partition: 20 * time.Second}
	},
	OrphanedByTwo:         orphans,
	DecisionUntold:        orphans,
	UntoldForLong:         strangers,
	SettledAborted:        orphans,
	SettledCommitted:      orphans,
	LatePrepare:           latePrepares,
	LearnerDuringPrepare:  wipedAmidTxns,
	WipedDuringElection:   wipedAmidTxns,
	OracleLostInBatch:     busyOracle,
	NumbersOfDeposed:      busyOracle,
	ReadBetweenLeaders:    elections,
	ReadOvertaken:         compactors,
	WatchOvertaken:        compactors,
	WatchBetweenLeaders:   watchers,
	ExpiryDuringKeepAlive: keepers,
	ExpiryDuringPut:       keepers,
	EndAcrossReign:        keepers,
	AlarmAcrossReign: func(cfg *Config, rng *rand.Rand) {
		elections(cfg, rng)
		cfg.Load.Wardens = 4
	},
	TornBoundary: tears,
	TornHeader:   tears,
	TornBody:     tears,
	TwoAtOneSync: tears,
	ReplayOfLost: tears,
	SegmentMoved: func(cfg *Config, _ *rand.Rand) {
		cfg.Sizes.Segment, cfg.Load.Think = segmentSmallest, 10*time.Millisecond
	},
	PauseWithReads: func(cfg *Config, rng *rand.Rand) {
		cfg.Faults.Pause = often(rng)
		cfg.Load.Think = 10 * time.Millisecond
	},
}

// elections lets leaders die and be cut off.
func elections(cfg *Config, rng *rand.Rand) {
	cfg.Faults.Crash, cfg.Faults.Partition = often(rng), often(rng)
}

// manyShards are read and written fast, by clocks that differ as much as they may.
func manyShards(cfg *Config) {
	cfg.Shape = Shape{Nodes: 5, Workers: 1, Shards: 5, Replicas: 3}
	cfg.Load.Keys, cfg.Load.Think = 10, 10*time.Millisecond
	cfg.ReadMode, cfg.Drift = replica.ReadLease, driftMax*0.99
}

// slowSnapshots has nodes learn while others die.
func slowSnapshots(cfg *Config, rng *rand.Rand) {
	elections(cfg, rng)
	cfg.Faults.Wipe, cfg.Faults.StreamFailure = 800*time.Millisecond, 0.1
	cfg.Faults.StreamSlow, cfg.Faults.WriteCrash = 0.8, 0.01
}

// laggards stay away for so long that the log goes on without them.
func laggards(cfg *Config, rng *rand.Rand) {
	cfg.Faults.Partition, cfg.Faults.Crash = often(rng), often(rng)
	cfg.Faults.Down = 2 * time.Second
	cfg.Load.Think = 10 * time.Millisecond
}

func compactedSnapshots(cfg *Config, rng *rand.Rand) {
	laggards(cfg, rng)
	compactors(cfg, rng)
	cfg.Faults.Wipe, cfg.Faults.StreamSlow = 800*time.Millisecond, 0.8
}

// rivals has leaders that are cut off go on for a while, one after the other.
func rivals(cfg *Config, rng *rand.Rand) {
	cfg.Faults.Partition, cfg.Faults.Stall = often(rng), often(rng)
	cfg.Faults.Crash, cfg.Faults.Move = often(rng), often(rng)
	cfg.Faults.FreshCut, cfg.Faults.Down = 0.5, 50*time.Millisecond
	cfg.Load.Think = 10 * time.Millisecond
	if rng.IntN(2) == 0 {
		cfg.Shape.Nodes, cfg.Shape.Replicas = 5, 5
	}
}

func changesAmidRivals(cfg *Config, rng *rand.Rand) {
	rivals(cfg, rng)
	cfg.Faults.Wipe = 800 * time.Millisecond
}

// crossing has all clients write over several shards.
func crossing(cfg *Config) {
	cfg.Shape.Shards = max(3, cfg.Shape.Shards)
	cfg.Load.Bankers, cfg.Load.Listers = 4, 3
	cfg.Load.Clients = max(cfg.Load.Clients, cfg.Load.tasks()+2)
	cfg.Load.Think = 15 * time.Millisecond
}

func transfersAmidTxns(cfg *Config, rng *rand.Rand) {
	crossing(cfg)
	cfg.Faults.Handover, cfg.Faults.Move = often(rng), often(rng)
}

func orphans(cfg *Config, rng *rand.Rand) {
	crossing(cfg)
	cfg.Shape.Nodes = 5
	cfg.Faults.Ambush, cfg.Faults.Crash = often(rng)/2, often(rng)
	cfg.Faults.Lag = 0.1
}

// strangers are shards whose leaders can't tell one another what was decided, for longer
// than outcomes are kept.
func strangers(cfg *Config, rng *rand.Rand) {
	crossing(cfg)
	cfg.Sizes.Keep = 600*time.Millisecond + often(rng)/2
	cfg.Faults = Faults{Crash: 4 * often(rng)}
	cfg.Faults.Ambush, cfg.Faults.At = often(rng)/4, Ambush{stepResolve, false, sever}
}

// latePrepares has one prepare of a transaction on its way until all is over.
func latePrepares(cfg *Config, rng *rand.Rand) {
	crossing(cfg)
	cfg.Faults.Ambush, cfg.Faults.At = often(rng)/4, Ambush{stepPrepare, false, sever}
	cfg.Faults.Lag = 0.1
}

// lockedSnapshots has followers come back, and others learn, while transactions wait for
// nodes that are away.
func lockedSnapshots(cfg *Config, rng *rand.Rand) {
	laggards(cfg, rng)
	crossing(cfg)
	cfg.Faults.Wipe, cfg.Faults.StreamSlow = 800*time.Millisecond, 0.5
	cfg.Faults.Ambush, cfg.Faults.Lag = often(rng)/2, 0.2
}

func wipedAmidTxns(cfg *Config, rng *rand.Rand) {
	crossing(cfg)
	cfg.Faults.Wipe, cfg.Faults.Crash = 800*time.Millisecond, often(rng)
}

func busyOracle(cfg *Config, rng *rand.Rand) {
	elections(cfg, rng)
	cfg.Faults.Move, cfg.Faults.Stall = often(rng), often(rng)
	cfg.Shape.Shards, cfg.Sizes.Window = max(3, cfg.Shape.Shards), 4
	cfg.Load.Clients, cfg.Load.Think = 16, 5*time.Millisecond
	cfg.Net.Slow, cfg.Faults.Lag = 0.1, 0.1
}

func compactors(cfg *Config, rng *rand.Rand) {
	cfg.Load.Janitors, cfg.Load.Watchers = 2+rng.IntN(2), 4
	cfg.Load.Think = 15 * time.Millisecond
}

func watchers(cfg *Config, rng *rand.Rand) {
	elections(cfg, rng)
	cfg.Load.Watchers, cfg.Load.Think = 5, 10*time.Millisecond
}

func keepers(cfg *Config, rng *rand.Rand) {
	elections(cfg, rng)
	cfg.Load.Keepers, cfg.Load.Think = 4+rng.IntN(4), 30*time.Millisecond
	cfg.Load.Clients, cfg.Load.Length = 2, 12*time.Second
	cfg.Load.Bankers, cfg.Load.Listers, cfg.Load.Counters = 0, 0, 0
}

func tears(cfg *Config, rng *rand.Rand) {
	cfg.Faults.Crash, cfg.Faults.PowerLoss = often(rng), 2*time.Second
	cfg.Faults.WriteCrash, cfg.Faults.Tear = 0.01, 0.8
	cfg.ReadMode = []replica.ReadMode{replica.ReadLease, replica.ReadQuorum}[rng.IntN(2)]
	cfg.Drift = min(cfg.Drift, driftMax*0.99)
}
