package sim

import (
	"fmt"
	"time"

	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/replica"
)

// mutantNamed is the mutant of a name, None for "".
func mutantNamed(name string) (mutant.Mutant, error) {
	if name == "" {
		return mutant.None, nil
	}
	for _, m := range mutant.All() {
		if m.String() == name {
			return m, nil
		}
	}
	return mutant.None, fmt.Errorf("mutant %q is unknown; there are %v", name, mutant.All())
}

// Hunt is the configuration in which a seed looks for a mutant: the random one
// of the seed, with faults that bring out what the mutant breaks.
func Hunt(m mutant.Mutant, seed uint64) Config {
	cfg := Random(seed)
	cfg.Mutant = m
	cfg.Shape = Shape{Nodes: 3, Workers: 1, Shards: 2, Replicas: 3}
	cfg.Load = Load{Clients: 8, Length: 8 * time.Second, Think: 40 * time.Millisecond, Keys: 4}
	cfg.Faults = huntFaults(m)
	cfg.ReadMode, cfg.Drift = replica.ReadLease, driftMax*0.99
	cfg.Sizes = ampleSizes()
	switch m {
	case mutant.ForgetVote:
		cfg.Shape.Shards, cfg.Load.Clients = 5, 2
		cfg.Net.DelayMean, cfg.Net.Ordered = 30*time.Millisecond, false
	case mutant.RenewAfterTransfer, mutant.PromiseNothing:
		cfg.Shape = Shape{Nodes: 5, Workers: 1, Shards: 5, Replicas: 3}
		cfg.Load.Keys, cfg.Load.Think = 10, 10*time.Millisecond
	case mutant.ServeBeforeTerm, mutant.KeepOverlay:
		cfg.Load.Think = 5 * time.Millisecond
	case mutant.AnswerBeforeRecord, mutant.NumberBeforePrepare, mutant.PrepareBeforeApply,
		mutant.ReadPastLock, mutant.ClosePastLock, mutant.NoTombstone:
		cfg.Shape.Shards, cfg.Load.Think, cfg.Load.Keys = 3, 10*time.Millisecond, 6
		cfg.Load.Bankers, cfg.Load.Listers, cfg.Load.Counters = 3, 2, 1
	case mutant.ExpireEarly, mutant.RenewUnlogged:
		cfg.Load.Clients, cfg.Load.Keepers, cfg.Load.Length = 1, 8, 12*time.Second
		cfg.Load.Think = 150 * time.Millisecond
	case mutant.EndUnclosed:
		cfg.Load.Clients, cfg.Load.Keepers, cfg.Load.Think = 2, 8, 15*time.Millisecond
	case mutant.ForgetAlarms:
		cfg.Load.Clients, cfg.Load.Wardens = 1, 3
	case mutant.DeliverHalf, mutant.ResumeLate:
		cfg.Load.Watchers, cfg.Load.Think = 4, 10*time.Millisecond
	case mutant.SweepReadable, mutant.SweepUnclosed, mutant.ForgetFloor:
		cfg.Load.Janitors, cfg.Load.Think = 2, 20*time.Millisecond
	case mutant.TellInFlight, mutant.TellApplied:
		cfg.Shape.Shards, cfg.Load.Think = 1, 5*time.Millisecond
		cfg.Load.Clients, cfg.Load.Keys = 24, 8
	case mutant.ReadWithoutWait, mutant.ReadStaleLast, mutant.CacheRevisions,
		mutant.CloseInFlight:
		cfg.Load.Think = 10 * time.Millisecond
	}
	return cfg
}

// huntFaults are faults for a mutant.
func huntFaults(m mutant.Mutant) Faults {
	const often, seldom = 700 * time.Millisecond, 2 * time.Second
	switch m {
	case mutant.AnswerBeforeCommit:
		return Faults{Partition: often, Crash: seldom}
	case mutant.ForgetVote:
		return Faults{Crash: often, Down: 10 * time.Millisecond, Odds: Odds{VoterCrash: 0.7}}
	case mutant.AnswerBeforeRecord:
		return Faults{
			Strikes: Strikes{Ambush: often / 4, At: Ambush{stepNumbered, true, crashHalfway}},
		}
	case mutant.NoTombstone:
		return Faults{
			Strikes: Strikes{Ambush: often / 4, At: Ambush{stepPrepare, false, sever}},
			Odds:    Odds{Lag: 0.1},
		}
	case mutant.ExpireEarly, mutant.ForgetFloor:
		return Faults{Crash: seldom, Handover: seldom}
	case mutant.RenewUnlogged:
		return Faults{Crash: often, Stall: often / 2}
	case mutant.AckBeforeSync:
		return Faults{PowerLoss: often, Stall: often, Crash: often}
	case mutant.TellApplied:
		return Faults{Stall: often}
	case mutant.SkipLeaseCheck, mutant.TellInFlight:
		return Faults{Partition: often, Pause: often}
	case mutant.PromiseNothing:
		return Faults{Strikes: Strikes{Betray: often}}
	case mutant.RenewAfterTransfer:
		return Faults{Handover: often / 2, Partition: 10 * seldom}
	case mutant.ReuseRevision:
		return Faults{Crash: often}
	case mutant.ForgetAlarms:
		return Faults{Crash: often, Handover: seldom}
	case mutant.ApplyTwice, mutant.LoseApplied, mutant.TruncateTooFar:
		return Faults{Crash: often, PowerLoss: seldom}
	case mutant.ServeBeforeTerm:
		return Faults{Crash: often, Stall: often / 2, Handover: often}
	case mutant.KeepOverlay:
		return Faults{Handover: often / 2, Partition: often}
	case mutant.RetryUncertain:
		return Faults{Crash: often, Partition: often, Pause: seldom}
	case mutant.RejoinAsVoter:
		return Faults{Wipe: often, Crash: often, Partition: seldom}
	case mutant.SnapshotLate:
		return Faults{Wipe: seldom, Partition: often, Crash: seldom}
	}
	return Faults{Stall: seldom}
}
