package worker

import (
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// AutoCompaction says when a cluster compacts itself. The zero value is never.
// Both modes mean what etcd's mean ("Maintenance: auto compaction",
// etcd.io/docs).
type AutoCompaction struct {
	// Retention, if not 0, keeps what is younger: every hour, or every
	// Retention if that is less, the cluster is compacted at the revision that
	// it was at Retention ago.
	Retention time.Duration
	// Revisions, if not 0, keeps so many of the last ones, every five minutes.
	Revisions int64
}

const (
	// autoPeriodMax is the longest time between two compactions by age.
	autoPeriodMax = time.Hour
	// autoTries is how often within that a sample is taken, and a compaction
	// that failed tried again.
	autoTries = 10
	// revisionPeriod lies between two compactions by number.
	revisionPeriod = 5 * time.Minute
)

// autoCompactor decides when to compact. Every worker beside a replica of the
// system shard runs one, so that a new leader has the samples; only the
// leader's is asked to act.
type autoCompactor struct {
	cfg AutoCompaction
	// samples are what the cluster was at, every so often, the oldest first:
	// one that is at least Retention old, and all later ones.
	samples []revisionSample
	// sampleAt is when to look again, dueAt when to compact.
	sampleAt, dueAt wire.Instant
	begun           bool
}

type revisionSample struct {
	at  wire.Instant
	rev kv.Revision
}

// period lies between two compactions, pause between two looks.
func (a *autoCompactor) period() time.Duration {
	if a.cfg.Retention == 0 {
		return revisionPeriod
	}
	return min(a.cfg.Retention, autoPeriodMax)
}

func (a *autoCompactor) pause() time.Duration {
	if a.cfg.Retention == 0 {
		return revisionPeriod
	}
	return a.period() / autoTries
}

// look is called now and then with the last revision that was handed out. It
// returns the revision to compact at, if it is time to.
func (a *autoCompactor) look(now wire.Instant, last kv.Revision) (rev kv.Revision, ok bool) {
	if a.cfg == (AutoCompaction{}) {
		return 0, false
	}
	if !a.begun {
		a.begun = true
		a.sampleAt, a.dueAt = now, now+wire.Instant(a.cfg.Retention)
	}
	if now < a.sampleAt {
		return 0, false
	}
	a.sampleAt = now + wire.Instant(a.pause())
	if a.cfg.Retention == 0 {
		return last - kv.Revision(a.cfg.Revisions), last > kv.Revision(a.cfg.Revisions)
	}
	a.sample(now, last)
	return a.samples[0].rev, now >= a.dueAt
}

// sample takes a sample, and forgets those that are older than needed.
func (a *autoCompactor) sample(now wire.Instant, last kv.Revision) {
	a.samples = append(a.samples, revisionSample{now, last})
	old := now - wire.Instant(a.cfg.Retention)
	for len(a.samples) > 1 && a.samples[1].at <= old {
		a.samples = a.samples[1:]
	}
}

// done tells that the cluster was compacted.
func (a *autoCompactor) done(now wire.Instant) { a.dueAt = now + wire.Instant(a.period()) }
