// Package backup is the file of a backup: all keys of a cluster as of one
// revision, with their leases.
//
// It owns the bytes of that file, and nothing of clusters: Write takes what it
// writes from any kv.Store, and Read hands what it reads to whoever wants it.
//
//	kv.Store ── Write ──> file ── Read ──> Sink: node.Restore, or nobody (a check)
//
// The file (docs/disk-format.md has it byte by byte):
//
//	header | keys … | leases … | end, padding | SHA-256
//	         └ blocks of about a MiB, each with a CRC-32C
//
// Invariants:
//
//  1. The keys are those of one revision, each once, ascending. Nothing of a
//     later write is among them.
//  2. Every lease that a key hangs on is in the file.
//  3. Every record has one encoding: of numbers only the shortest form is taken.
//  4. A file of which a byte is changed, missing or too many is refused, with
//     the offset where that showed.
//  5. Its size modulo 512 is 32, and its last 32 bytes are the SHA-256 of all
//     before: etcdctl looks for that in a snapshot.
package backup

import (
	"crypto/sha256"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

// Header is what a backup says of itself before anything else.
type Header struct {
	// Cluster is the one that it was taken of.
	Cluster kv.ClusterID
	// Revision is that of the keys.
	Revision kv.Revision
	// Time is when it was begun, to the millisecond.
	Time time.Time
}

// Summary is a whole backup in a few numbers.
type Summary struct {
	Header
	Keys   int64
	Leases int64
	// Bytes is the size of the file.
	Bytes int64
	// Checksum is the SHA-256 at the end of the file.
	Checksum [sha256.Size]byte
}
