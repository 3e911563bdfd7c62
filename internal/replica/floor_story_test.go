package replica

import (
	"fmt"
	"strings"

	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/wire"
)

func init() {
	// sweep n=1: the node sweeps until there is nothing left.
	commands["sweep"] = (*story).sweep
	// stored n=1: the floor, versions and history that the node has.
	commands["stored"] = (*story).stored
}

// compacting reads a request for a compaction floor:
//
//	1 compact 5
func (s *story) compacting(req *wire.Request, words []string) bool {
	if words[0] != "compact" {
		return false
	}
	req.Compact = &wire.Compact{Revision: s.revision(words[1])}
	return true
}

func (s *story) sweep() {
	n := s.node()
	before := n.replica.floors.sweep
	parts := 0
	for n.replica.Sweep() {
		parts++
	}
	after := n.replica.floors.sweep
	s.c.sayf("%v swept up to %v in %d parts: %d versions, %d bytes", n.id,
		n.replica.Load().Swept, parts, after.versions-before.versions, after.bytes-before.bytes)
}

func (s *story) stored() {
	n := s.node()
	var events []string
	for e, err := range mvcc.History(n.engine, 1, 0, 0) {
		s.c.must(err)
		events = append(events, fmt.Sprintf("%s@%v", e.KV.Key, e.Revision))
	}
	st, err := loadState(n.engine, 1)
	s.c.must(err)
	s.c.sayf("floor %v, history %s", st.compacted, strings.Join(events, " "))
	for p, err := range mvcc.Check(n.engine, 1, kv.Range{}, st.compacted) {
		s.c.must(err)
		s.c.sayf("  %v", p)
	}
	s.c.sayf("versions %s", strings.Join(s.versions(n), " "))
}

func (s *story) versions(n *site) []string {
	it, err := n.engine.NewIter([]byte{4}, []byte{5})
	s.c.must(err)
	var found []string
	for ok := it.First(); ok; ok = it.Next() {
		found = append(found, showVersion(it.Key(), it.Value()))
	}
	s.c.must(it.Close())
	return found
}

func showVersion(key, value []byte) string {
	user, rev, err := keyspace.ParseVersionKey(key)
	if err != nil {
		return err.Error()
	}
	v, err := keyspace.ParseVersion(value)
	switch {
	case err != nil:
		return err.Error()
	case v.Tombstone:
		return fmt.Sprintf("-%s@%v", user, rev)
	}
	return fmt.Sprintf("%s=%s@%v", user, v.Value, rev)
}
