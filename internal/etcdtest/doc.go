// Package etcdtest holds Miruvor's etcd API to what etcd 3.7.3 answered: it
// puts recorded requests to a gRPC connection and compares each answer, field
// by field, with etcd's.
//
// It owns the scripts, the runner, the generator of random sequences and the
// table of the differences that are meant. It knows no server: a test hands it
// a connection. The generator's home for recording is bench/record, which has
// an etcd to ask.
//
//	testdata/edges ──┐                     ┌── connection to etcd: Record
//	                 ├─ Script ── runner ──┤
//	testdata/walks ──┘    ↑                └── connection to Miruvor: Replay
//	      Walk(seed) ─────┘
//
// A script is text. Each step is a request, four dashes, and the answer:
//
//	Put key:"a" value:"1" prev_kv:true
//	----
//	rev=2
//
//	watch s
//	create key:"a" start_revision:2
//	----
//	0 created rev=2
//	0 PUT "a"="1" create=2 mod=2 version=1
//
// A request is the name of a call of one of etcd's services and its message in
// protobuf's text form, or a word of the runner:
//
//	begin            empties the store; the current revision is then 1 (see begin)
//	fresh            needs a server that nobody used, and compacts nothing
//	watch S          sends the lines below on the stream of watches S
//	recv S [N]       tells what came on S; while recording, awaits N lines
//	close S          cancels all watches of S and closes it
//	times N          does the request below so often, # counting from 0
//
// A line "with key=value" before a request adds metadata. $12<text #> is the
// text twelve times, # counting from 0; $lease is the id of a lease that the
// server chose, and $member its own.
//
// Invariants:
//
//  1. Everything of an answer is compared but what no two servers could agree
//     on (normal.go has the table): ids of the cluster and its members, terms,
//     sizes, hashes, ids of leases that the server chose, seconds of a TTL.
//  2. Revisions are exact. They count from the script's begin, where the
//     revision is 1 and compacted, so that a server needs no restart.
//  3. How events are batched is not compared, since that is chance; what
//     batches promise is checked: no revision is split, nothing comes before
//     the watch was created or at or below what progress promised.
package etcdtest
