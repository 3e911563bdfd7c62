package worker

import "github.com/miruvor/miruvor/internal/kv"

// Standing is what a node knows of the system shard.
type Standing struct {
	// Leader leads it, 0 if none is known; Term is its term.
	Leader kv.NodeID
	Term   uint64
}

// tellStanding passes on what is known of the system shard if it has changed.
func (w *Worker) tellStanding() {
	sys := w.system()
	if sys == nil {
		return
	}
	s := Standing{Leader: sys.Leader(), Term: sys.Term()}
	if s != w.office.standing {
		w.office.standing = s
		w.effects.Standing = &s
	}
}
