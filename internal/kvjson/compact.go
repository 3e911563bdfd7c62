package kvjson

import "github.com/miruvor/miruvor/internal/kv"

// Compact asks to forget what only reads below a revision could see:
// {"revision":7}.
type Compact struct {
	Revision *Floor `json:"revision"`
}

// Floor is the oldest revision to keep.
type Floor kv.Revision

func (Floor) wanted() string { return wholeNumber(1, int64(kv.RevisionMax)) }

// NewCompact is what asks for a compaction at revision.
func NewCompact(revision kv.Revision) Compact {
	return Compact{Revision: new(Floor(revision))}
}

// Decode is the revision that j names.
func (j *Compact) Decode() (kv.Revision, error) {
	if j.Revision == nil {
		return 0, kv.Invalid("revision is missing, it is the oldest to keep")
	}
	if *j.Revision < 1 {
		return 0, kv.Invalid("revision is %d, it must be %s", *j.Revision, j.Revision.wanted())
	}
	return kv.Revision(*j.Revision), nil
}

// Compacted answers Compact: {"revision":9,"compacted":7}.
type Compacted struct {
	// Revision is the cluster's current one.
	Revision kv.Revision `json:"revision"`
	// Compacted is the oldest revision that can still be read.
	Compacted kv.Revision `json:"compacted"`
}
