package sim

// Rare is a state that few runs reach, and in which other systems went wrong. What is
// never reached is not tested, whatever the number of seeds: the fleet counts them, steers
// towards those that it misses, and names those that it missed.
type Rare uint8

// The states, each with what brings it about in words.
const (
	// NoRare stands for none.
	NoRare Rare = iota
	SnapshotDuringElection
	SnapshotOfDeposed
	SnapshotOfLaggard
	SnapshotOverMemory
	CompactionDuringSnapshot
	SweepDuringSnapshot
	LocksDuringSnapshot
	CrashDuringInstall
	ConflictingTail
	ConflictingTerms
	ChangeOverwritten
	TwoLeaders
	DeposedInFlight
	PromiseAsked
	TransferDuringPrepare
	TransferLost
	OrphanedByTwo
	DecisionUntold
	UntoldForLong
	SettledAborted
	SettledCommitted
	LatePrepare
	LearnerDuringPrepare
	WipedDuringElection
	OracleLostInBatch
	NumbersOfDeposed
	ReadBetweenLeaders
	ReadOvertaken
	WatchOvertaken
	WatchBetweenLeaders
	ExpiryDuringKeepAlive
	ExpiryDuringPut
	EndAcrossReign
	AlarmAcrossReign
	TornBoundary
	TornHeader
	TornBody
	TwoAtOneSync
	ReplayOfLost
	PauseWithReads
	SegmentMoved
	rares
)

// rareTexts are the names of the states, for flags and tables, and what they are.
var rareTexts = [rares]struct{ name, what string }{
	SnapshotDuringElection: {
		"snapshot-during-election",
		"another leads a shard whose snapshot is under way",
	},
	SnapshotOfDeposed: {
		"snapshot-of-deposed",
		"a snapshot is restored whose sender leads no more",
	},
	SnapshotOfLaggard: {
		"snapshot-of-laggard",
		"a replica that lost nothing gets a snapshot",
	},
	SnapshotOverMemory: {
		"snapshot-over-memory",
		"a snapshot is restored by a replica that remembers versions",
	},
	CompactionDuringSnapshot: {
		"compaction-during-snapshot",
		"the floor rises below a snapshot under way",
	},
	SweepDuringSnapshot: {
		"sweep-during-snapshot",
		"a sender sweeps what it is sending",
	},
	LocksDuringSnapshot: {
		"locks-during-snapshot",
		"a snapshot holds keys that a transaction has locked",
	},
	CrashDuringInstall: {
		"crash-during-install",
		"a crash between a snapshot and its record",
	},
	ConflictingTail: {
		"conflicting-tail",
		"another leader's entries replace some of a log",
	},
	ConflictingTerms: {
		"conflicting-terms",
		"the replaced entries are of several terms",
	},
	ChangeOverwritten: {
		"change-overwritten",
		"among the replaced entries is a change of members",
	},
	TwoLeaders: {
		"two-leaders",
		"two replicas of a shard serve as leader",
	},
	DeposedInFlight: {
		"deposed-in-flight",
		"a leader is deposed with writes in flight",
	},
	PromiseAsked: {
		"promise-asked",
		"a voter that just restarted is asked for its vote while another leads",
	},
	TransferDuringPrepare: {
		"transfer-during-prepare",
		"leadership is handed over while keys are locked",
	},
	TransferLost: {
		"transfer-lost",
		"the word that hands leadership over is lost",
	},
	OrphanedByTwo: {
		"orphaned-by-two",
		"coordinator and primary die before the decision",
	},
	DecisionUntold: {
		"decision-untold",
		"the primary dies, and nobody else knows its decision",
	},
	UntoldForLong: {
		"untold-for-long",
		"a shard hears of a decision later than decisions are kept",
	},
	SettledAborted: {
		"settled-aborted",
		"who meets a lock learns that it was given up",
	},
	SettledCommitted: {
		"settled-committed",
		"who meets a lock learns that it was committed",
	},
	LatePrepare: {
		"late-prepare",
		"a prepare arrives after its transaction was given up",
	},
	LearnerDuringPrepare: {
		"learner-during-prepare",
		"a prepare in a shard that has a learner",
	},
	WipedDuringElection: {
		"wiped-during-election",
		"another leads while a wiped node learns",
	},
	OracleLostInBatch: {
		"oracle-lost-in-batch",
		"the oracle moves while revisions are asked of it",
	},
	NumbersOfDeposed: {
		"numbers-of-deposed",
		"revisions arrive from an oracle that was replaced",
	},
	ReadBetweenLeaders: {
		"read-between-leaders",
		"a follower is read while its shard has no leader",
	},
	ReadOvertaken: {
		"read-overtaken",
		"a compaction overtakes a read",
	},
	WatchOvertaken: {
		"watch-overtaken",
		"a watch resumes behind the compaction floor",
	},
	WatchBetweenLeaders: {
		"watch-between-leaders",
		"events are told while a shard has no leader",
	},
	ExpiryDuringKeepAlive: {
		"expiry-during-keep-alive",
		"a lease's end begins while it is kept alive",
	},
	ExpiryDuringPut: {
		"expiry-during-put",
		"a lease's end begins while a key is hung on it",
	},
	EndAcrossReign: {
		"end-across-reign",
		"another counts the leases amid the end of one",
	},
	AlarmAcrossReign: {
		"alarm-across-reign",
		"an alarm changes while the system shard has no leader",
	},
	TornBoundary: {
		"torn-at-boundary",
		"a write to the log is torn between two batches",
	},
	TornHeader: {
		"torn-in-header",
		"a write is torn inside a batch's header",
	},
	TornBody: {
		"torn-in-body",
		"a write is torn inside a batch's body",
	},
	TwoAtOneSync: {
		"two-at-one-sync",
		"two nodes die with appends that are not synced",
	},
	ReplayOfLost: {
		"replay-of-lost",
		"the engine lost what was applied, and the log has it",
	},
	PauseWithReads: {
		"pause-with-reads",
		"a leader stops between its clock and its answers",
	},
	SegmentMoved: {
		"segment-moved",
		"the log moves what is of use out of an old segment",
	},
}

func (r Rare) String() string {
	if r == NoRare {
		return "none"
	}
	return rareTexts[r].name
}

// allRares are all of them.
func allRares() []Rare {
	list := make([]Rare, 0, rares)
	for r := NoRare + 1; r < rares; r++ {
		list = append(list, r)
	}
	return list
}

// Fault is a kind of what goes wrong.
type Fault uint8

// The kinds; a message that is lost, late or repeated is one too.
const (
	FaultCrash Fault = iota
	FaultPowerLoss
	FaultWipe
	FaultHandover
	FaultMove
	FaultPause
	FaultPartition
	FaultStall
	FaultHold
	FaultBetrayal
	FaultDeposal
	FaultAmbush
	FaultVoterCrash
	FaultTear
	FaultWriteCrash
	FaultFreshCut
	FaultStream
	FaultDrop
	FaultLoss
	FaultRepeat
	FaultLag
	faultKinds
)

var faultNames = [faultKinds]string{
	"crash", "power loss", "wipe", "handover", "move", "pause", "partition", "stall",
	"held writes", "betrayal", "deposal", "ambush", "voter crash", "torn write",
	"crash amid a write", "cut at first", "broken snapshot", "dropped message",
	"lost message", "repeated message", "late message",
}

func (f Fault) String() string { return faultNames[f] }

// Coverage counts what a run went through.
type Coverage struct {
	Rares  [rares]int
	Faults [faultKinds]int
}

// add adds another run's.
func (c *Coverage) add(o *Coverage) {
	for i, n := range o.Rares {
		c.Rares[i] += n
	}
	for i, n := range o.Faults {
		c.Faults[i] += n
	}
}

// reached notes a rare state.
func (c *Coverage) reached(r Rare) { c.Rares[r]++ }

// struck notes a fault.
func (c *Coverage) struck(f Fault) { c.Faults[f]++ }
