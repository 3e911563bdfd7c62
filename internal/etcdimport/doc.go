// Package etcdimport moves the keys of a running etcd, or of anything that
// speaks its API, into a kv.Store: as of one revision, with their leases, and
// then everything that happens there, until clients change over.
//
// It owns the order in which that is done and what it leaves in the target to go
// on with. It owns neither connection: the command line opens both.
//
//	etcd ── scan at R ──┐                       ┌── copy: what differs is written
//	     ── watch R+1 ──┼─> job (one goroutine) ┼── follow: revision by revision
//	     ── leases ─────┴─> keeper (another) ───┴── grants, keep-alives
//	                                       mark ─┘
//
// The mark is a key of the target, by the prefix that is imported. It says which
// cluster is imported, how far, and whose turn it is. Every transaction that
// writes an imported key compares the mark's revision, and the mark is written
// with it or behind it. So
//
//  1. What is written and how far it is are one: an import that is killed goes
//     on where it was, and a request whose answer was lost never comes late.
//  2. Of two imports of a prefix, the one that began last goes on; the other
//     fails at its next write.
//  3. While following, the target holds at every moment what the source held at
//     some revision: a revision is written whole. Revisions that wait are written
//     together as long as no key is in two of them, so each version of each key
//     is there once, in order. Only a revision that is larger than the target's
//     limits is split, which is logged.
//  4. While copying, and when the past that was missed is compacted, keys are
//     compared one by one and what differs is written; only the end of that is a
//     state of the source.
//  5. A lease of the target lives as long as the source has it: the keeper keeps
//     it alive. If one ends all the same, its keys are gone, so all is compared
//     again.
//  6. There is a mark while, and only while, an import is unfinished.
package etcdimport
