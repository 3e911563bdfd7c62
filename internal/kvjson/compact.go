package kvjson

import "github.com/miruvor/miruvor/internal/kv"

// Compact asks to forget what only reads below a revision could see:
// {"revision":7}.
type Compact struct {
	Revision *kv.Revision `json:"revision"`
}

// Decode is the revision that j names.
func (j *Compact) Decode() (kv.Revision, error) {
	if j.Revision == nil {
		return 0, kv.Invalid("revision is missing, it is the oldest to keep")
	}
	return *j.Revision, nil
}

// Compacted answers Compact: {"revision":9,"compacted":7}.
type Compacted struct {
	// Revision is the cluster's current one.
	Revision kv.Revision `json:"revision"`
	// Compacted is the oldest revision that can still be read.
	Compacted kv.Revision `json:"compacted"`
}
