package tidy

import (
	"go/token"
	"path"
	"strconv"
	"strings"
)

// floors is the floor plan: each room, which is a package and those nested in
// it, stands on a floor, and imports only what stands on lower ones. A new
// room is entered here first.
var floors = map[string]int{
	"internal/kv":         0,  // vocabulary
	"internal/wire":       0,  // what nodes say to each other
	"internal/mutant":     0,  // deliberate bugs that prove the tests
	"internal/tidy":       0,  // these rules
	"internal/kv/kvfake":  1,  // kv.Store in memory, for tests
	"internal/kvjson":     1,  // what HTTP clients and servers say to each other
	"internal/engine":     1,  // storage seam; pebble, memory
	"internal/keyspace":   1,  // every byte in the engine
	"internal/kv/kvtest":  2,  // the conformance suite of kv.Store
	"internal/raftlog":    2,  // the shared durable log
	"internal/mvcc":       2,  // versions, evaluation, history
	"internal/placement":  2,  // the shard map
	"internal/transport":  2,  // how messages travel
	"internal/replica":    3,  // one shard's copy
	"internal/oracle":     3,  // revisions
	"internal/member":     3,  // what a node's directory makes of it
	"internal/lease":      3,  // who has how much time left
	"internal/txn":        4,  // coordinator of transactions over shards
	"internal/watch":      4,  // merger and hub of watches
	"internal/worker":     5,  // the replicas of one thread
	"internal/node":       6,  // one process
	"internal/httpapi":    7,  // HTTP over kv.Store
	"internal/etcdapi":    7,  // etcd's gRPC services over kv.Store
	"internal/backup":     4,  // the file of a backup
	"internal/gateway":    8,  // etcd's JSON over its gRPC services
	"internal/faultfs":    0,  // a file system that fails on demand
	"internal/watermark":  0,  // how far a file is known to be synced
	"internal/portmux":    0,  // protocols that share a port
	"internal/admission":  0,  // how much may be under way
	"internal/grpcserver": 0,  // gRPC over HTTP/2, for little CPU
	"internal/httpclient": 6,  // kv.Store over HTTP
	"internal/etcdimport": 8,  // keys of an etcd into a kv.Store
	"internal/bench":      7,  // load over HTTP
	"internal/cli":        9,  // commands and wiring
	"internal/nodetest":   10, // clusters of real processes, killed under load
	"internal/etcdtest":   10, // etcd's recorded answers, compared with ours
	"internal/history":    2,  // what clients were told, and the judgement of it
	"internal/plot":       0,  // pictures of what happened over time
	"internal/netlab":     0,  // hosts in network namespaces, and a network with faults
	"internal/casualties": 10, // what other systems suffered from, played on ours
	"sim":                 10, // whole clusters in virtual time
	"nemesis":             10, // clusters of real processes under a schedule of faults
	".":                   10, // main
}

// importsGoDown: a package imports only rooms on strictly lower floors, and of
// its own room only the packages that it is nested in. A room's tests may
// import the whole room.
func importsGoDown(f *file) []Problem {
	var found []Problem
	report := func(pos token.Pos, subject, format string, args ...any) {
		found = append(found, f.problem("floor", pos, subject, format, args...))
	}
	from := room(f.dir())
	if from == "" {
		report(f.ast.Package, f.dir(), "%s has no floor: enter it in tidy/floors.go", f.dir())
		return found
	}
	for _, spec := range f.ast.Imports {
		target, ours := packageDir(importPath(spec.Path.Value))
		if !ours {
			continue
		}
		to := room(target)
		switch {
		case to == "":
			report(spec.Pos(), target, "imports %s, which has no floor", target)
		case to == from && !f.isTest() && !isAbove(target, f.dir()):
			report(spec.Pos(), target, "%s imports %s: in a room, only the packages around one",
				f.dir(), target)
		case to != from && floors[to] >= floors[from]:
			report(spec.Pos(), target, "%s (floor %d) imports %s (floor %d): %s",
				f.dir(), floors[from], target, floors[to], "imports go strictly down")
		}
	}
	return found
}

// room is the entry of the floor plan that the package in dir belongs to, or
// "" if it has none.
func room(dir string) string {
	for d := dir; ; d = path.Dir(d) {
		if _, ok := floors[d]; ok && (d != "." || dir == ".") {
			return d
		}
		if d == "." {
			return ""
		}
	}
}

// isAbove reports whether dir is nested in the package outer.
func isAbove(outer, dir string) bool { return strings.HasPrefix(dir, outer+"/") }

// packageDir is the directory of an imported package of this module.
func packageDir(imported string) (dir string, ours bool) {
	if imported == Module {
		return ".", true
	}
	return strings.CutPrefix(imported, Module+"/")
}

// importPath strips the quotes from an import's literal.
func importPath(literal string) string {
	p, err := strconv.Unquote(literal)
	if err != nil {
		return literal
	}
	return p
}
