// Package mutant names the deliberate bugs that the simulator switches on to
// prove that its checkers see them. Nothing but tests ever sets one; each is
// a single comparison at the place where the rule lives that it breaks.
package mutant

// Mutant is a deliberate bug. The zero value is correct code.
type Mutant uint8

// The bugs, each named for what it does wrong.
const (
	None Mutant = iota
	// AnswerBeforeCommit answers a write as soon as it is proposed.
	AnswerBeforeCommit
	// AckBeforeSync acknowledges log entries before they are synced.
	AckBeforeSync
	// SkipLeaseCheck answers reads without looking at the lease.
	SkipLeaseCheck
	// PromiseNothing lets a voter vote although it promised not to.
	PromiseNothing
	// RenewAfterTransfer renews the lease after leadership was offered away.
	RenewAfterTransfer
	// ReuseRevision lets a new oracle begin below what was handed out.
	ReuseRevision
	// CacheRevisions takes spare revisions for requests that arrive later.
	CacheRevisions
	// ReadWithoutWait reads without waiting for overlapping writes in flight.
	ReadWithoutWait
	// ReadStaleLast takes the revision to read at before the request arrived.
	ReadStaleLast
	// ApplyTwice replays entries that the engine already holds.
	ApplyTwice
	// LoseApplied writes the applied index outside of the batch.
	LoseApplied
	// TruncateTooFar truncates the log above what the engine made durable.
	TruncateTooFar
	// ForgetVote forgets at a restart whom it voted for, and what it promised.
	ForgetVote
	// ServeBeforeTerm evaluates before an entry of the own term is applied.
	ServeBeforeTerm
	// KeepOverlay leaves dropped proposals in the overlay.
	KeepOverlay
	// CloseInFlight closes revisions that a write in flight may still take.
	CloseInFlight
	// RetryUncertain repeats a write whose first try may have happened.
	RetryUncertain
	// RejoinAsVoter lets a node that lost its directory vote as before.
	RejoinAsVoter
	// SnapshotLate ships a snapshot that says less than it holds.
	SnapshotLate
	// AnswerBeforeRecord answers a transaction over shards before its record
	// is committed.
	AnswerBeforeRecord
	// NumberBeforePrepare takes the revision of a transaction over shards
	// before all of them are prepared.
	NumberBeforePrepare
	// PrepareBeforeApply answers a prepare at once, whatever is in flight.
	PrepareBeforeApply
	// ReadPastLock reads what a prepared transaction may still write.
	ReadPastLock
	// ClosePastLock closes revisions that a prepared transaction may still take.
	ClosePastLock
	// NoTombstone has a primary say that what it does not know is aborted,
	// without making sure that it stays so.
	NoTombstone
	// ExpireEarly has a new leader begin without what its predecessor promised
	// to those that kept their leases alive.
	ExpireEarly
	// SweepReadable sweeps what can still be read at the compaction floor.
	SweepReadable
	// RenewUnlogged answers a keep-alive before the log has the full time.
	RenewUnlogged
	// SweepUnclosed sweeps where a write may still come.
	SweepUnclosed
	// EndUnclosed deletes a lease's keys although more may still be hung on it.
	EndUnclosed
	// ForgetFloor has a new leader believe that all shards have the floor.
	ForgetFloor
	// DeliverHalf delivers what one shard of a watch has of a revision before
	// the others have closed it.
	DeliverHalf
	// ResumeLate catches a slow watch up from one revision too late.
	ResumeLate
	// StaleRecent keeps a version in memory after it was overwritten.
	StaleRecent
	// TellInFlight tells readers a revision that may be lost with the leader.
	TellInFlight
	// TellApplied tells readers what the leader has applied, not what is committed.
	TellApplied
	// ForgetAlarms keeps alarms in memory alone.
	ForgetAlarms
)

// All are the mutants that the simulator must catch.
func All() []Mutant {
	all := make([]Mutant, 0, len(names))
	for m := AnswerBeforeCommit; m <= ForgetAlarms; m++ {
		all = append(all, m)
	}
	return all
}

var names = [...]string{
	"none", "answer-before-commit", "ack-before-sync", "skip-lease-check", "promise-nothing",
	"renew-after-transfer", "reuse-revision", "cache-revisions", "read-without-wait",
	"read-stale-last", "apply-twice", "lose-applied", "truncate-too-far", "forget-vote",
	"serve-before-term", "keep-overlay", "close-in-flight", "retry-uncertain",
	"rejoin-as-voter", "snapshot-late",
	"answer-before-record", "number-before-prepare", "prepare-before-apply", "read-past-lock",
	"close-past-lock", "no-tombstone", "expire-early", "sweep-readable",
	"renew-unlogged", "sweep-unclosed", "end-unclosed", "forget-floor",
	"deliver-half", "resume-late", "stale-recent", "tell-in-flight", "tell-applied",
	"forget-alarms",
}

func (m Mutant) String() string { return names[m] }
