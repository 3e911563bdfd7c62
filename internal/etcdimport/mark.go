package etcdimport

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/miruvor/miruvor/internal/kv"
)

// markPrefix is what the keys of marks begin with. They are neither imported nor
// counted as keys of the target.
const markPrefix = "\x00miruvor/import/"

// MarkKey is the key of the target that tells of an unfinished import of the keys
// with this prefix.
func MarkKey(prefix []byte) []byte { return append([]byte(markPrefix), prefix...) }

func isMark(key []byte) bool { return bytes.HasPrefix(key, []byte(markPrefix)) }

// mark is how far an import is.
type mark struct {
	// Source is the cluster that is imported.
	Source kv.ClusterID `json:"source,string"`
	// Revision is the one of the source that is being copied or, if Copied is
	// set, up to which everything is in the target.
	Revision kv.Revision `json:"revision"`
	Copied   bool        `json:"copied"`
	// After is the last key that was copied at Revision, if not Copied.
	After []byte `json:"after,omitempty"`
	// By is who wrote the mark, and Seq which of its writes that was.
	By  uint64 `json:"by,string"`
	Seq uint64 `json:"seq"`
}

func (m mark) encode() []byte {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // numbers and bytes can always be encoded
	}
	return text
}

var errMark = errors.New("not the mark of an import")

func decodeMark(text []byte) (mark, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var m mark
	switch err := decoder.Decode(&m); {
	case err != nil:
		return mark{}, fmt.Errorf("%w: %w", errMark, err)
	case decoder.More():
		return mark{}, fmt.Errorf("%w: something follows", errMark)
	case m.Revision < 1 || m.Revision > kv.RevisionMax:
		return mark{}, fmt.Errorf("%w: revision is %d", errMark, int64(m.Revision))
	}
	return m, nil
}
