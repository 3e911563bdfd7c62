package kvfake

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
)

// history is every version of every key.
type history struct {
	// keys are those with versions, sorted.
	keys []string
	// versions holds those of a key, oldest first, at most one a revision.
	versions map[string][]version
	// changes are all versions in the order in which they were written.
	changes []version
}

// version is what a key became at kv.ModRevision: a value, or nothing.
type version struct {
	kv.KeyValue
	deleted bool
}

// get returns the version of key that a read at revision sees, or nil.
func (h *history) get(key string, revision kv.Revision) *kv.KeyValue {
	for _, v := range slices.Backward(h.versions[key]) {
		if v.ModRevision > revision {
			continue
		}
		if v.deleted {
			return nil
		}
		return &v.KeyValue
	}
	return nil
}

// scan returns what a read of keys at revision sees, in ascending order. The
// result shares its slices with the history.
func (h *history) scan(keys kv.Range, revision kv.Revision) []kv.KeyValue {
	var found []kv.KeyValue
	first, _ := slices.BinarySearch(h.keys, string(keys.Start))
	for _, key := range h.keys[first:] {
		if !keys.Contains([]byte(key)) {
			break
		}
		if kv := h.get(key, revision); kv != nil {
			found = append(found, *kv)
		}
	}
	return found
}

func (h *history) add(v version) {
	key := string(v.Key)
	if i, found := slices.BinarySearch(h.keys, key); !found {
		h.keys = slices.Insert(h.keys, i, key)
	}
	h.versions[key] = append(h.versions[key], v)
	h.changes = append(h.changes, v)
}

// since returns the changes at revision and above, in their order. The result
// shares its slices with the history.
func (h *history) since(revision kv.Revision) []version {
	first, _ := slices.BinarySearchFunc(h.changes, revision,
		func(v version, revision kv.Revision) int { return cmp.Compare(v.ModRevision, revision) })
	return h.changes[first:]
}

// compact drops what no read at revision or above can see, and the changes
// below revision.
func (h *history) compact(revision kv.Revision) {
	for key, versions := range h.versions {
		// Of the versions at or below revision only the last can be seen,
		// and only if it is a value.
		first := 0
		for i, v := range versions {
			if v.ModRevision > revision {
				break
			}
			first = i
			if v.deleted {
				first = i + 1
			}
		}
		h.versions[key] = versions[first:]
	}
	h.changes = slices.Clone(h.since(revision))
	h.keys = slices.DeleteFunc(h.keys, func(key string) bool {
		empty := len(h.versions[key]) == 0
		if empty {
			delete(h.versions, key)
		}
		return empty
	})
}

func clone(kv kv.KeyValue) kv.KeyValue {
	kv.Key = bytes.Clone(kv.Key)
	kv.Value = bytes.Clone(kv.Value)
	return kv
}
