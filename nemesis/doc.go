// Command nemesis proves a cluster under faults: real processes, real packets,
// real files. It starts nodes in network namespaces that it makes itself, puts
// load on them by etcd's clients and by HTTP, does to them what a schedule drawn
// from a seed says, and holds all that clients and watches were told against one
// history. The report has a plot of it all.
//
//	go run ./nemesis -time 30m -seed 7 -nodes 5 -out DIR
//	go run ./nemesis -time 30m -seed 7 -nodes 5 -list      # only print the schedule
//
//	nemesis ── netlab.Isolated ──▶ nemesis, first process of its own namespaces
//	    schedule ── faults ──▶ netlab: links        ─┐
//	             │             signals, files, disks ├▶ n1 … n5: this program as
//	             └── commands on standard input ─────┘  a node (node_linux.go)
//	    load ── clientv3, HTTP ──▶ n1 … n5 ──▶ history ── judge ──▶ report
//
// The nodes are what cli starts, on a file system and a clock that can be told
// to fail, and if asked for with a deliberate bug (node.Config.StandOn); the program
// that users run cannot be put on either.
//
//  1. The schedule is a pure function of the seed, the time and the nodes. What
//     happens under it is not: processes and packets have their own time.
//  2. A fault ends when its time is up, whatever became of it, and all are
//     healed before the verdict.
//  3. A node may end by itself only where a fault says so.
//
// Linux only, with TUN and either root or user namespaces. It exits with 0 if
// all is well, 1 if not, 2 for wrong usage, and 77 where it is not allowed to
// make what it needs.
package main
