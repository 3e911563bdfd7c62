// Package sim simulates whole clusters in one thread, from one seed: the core
// that nodes run, in a world where anything may go wrong at any moment.
//
// It owns time, order, chance, the network and the disks. Everything else is
// the real thing: package member and the workers with their replicas, oracle and routing,
// the raft log on a file system that forgets, the memory engine, the wire's
// encoding. Only the goroutines of package node are missing; thread and disk
// stand for them.
//
//	world    the queue of events, virtual time, the one source of chance
//	cluster  a run: build, wait for leaders, plague, heal, check
//	node     a process: its disk outlives it, its memory does not
//	thread   a worker: takes all inputs, reads the clock, makes a pass
//	hub      a node's end of watches, run as a thread runs a worker
//	disk     appends and syncs as raftlog.Writer does, each step an event
//	network  delays, drops, repeats, reorders; stream is its part for snapshots
//	faults   crashes, power losses, wipes, pauses, partitions, stalls, betrayals
//	ambush   what strikes a transaction over several shards, at each of its steps
//	client   random operations, one after the other, never repeated
//	task     what a client does if it keeps an invariant of its own
//	keeper   holds leases: keeps some alive, leaves others to expire, revokes some
//	janitor  compacts, and reads just above and just below
//	warden   raises alarms, clears them, and looks which there are
//	watcher  watches any keys from any revision, reads slowly, goes on elsewhere
//	History  what clients were told, and what the replicas hold in the end
//	archive  keeps what replicas sweep and forget, so that History is whole
//	checker  holds a History against a reference (model), revision by revision;
//	         promises and lists look at answers alone; what leases and
//	         compactions promise has checkers of its own
//
// What a checker does not see is worth nothing, so TestMutants breaks one rule
// of the core after the other (package mutant) and requires an objection; mutations
// break the source itself.
//
// And what no run reaches is not checked, however many there are. Many runs are a voyage:
//
//	fleet     processes that simulate, each one seed after the other
//	probe     looks out for rare states, from outside of the core
//	tally     adds up what the seeds went through, and names the gaps
//	helm      chooses what the next run leans towards (Steered)
//	shrinker  reduces what fails to a short story
//
// Invariants:
//
//  1. A Config decides everything: equal ones make equal traces, to the last event.
//  2. No more goes wrong than is promised to be survived: clocks keep the lease's
//     bound unless reads trust none, directories are lost one at a time, and the
//     network never repeats a client's write.
//  3. After heal, every cluster answers again within bounded time.
//
// FOUND.md lists what it found. docs/testing.md tells how to use it.
package sim
