package node

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
)

// restored is what node.json says of the backup that a cluster begins with.
type restored struct {
	// Token is the cluster's (restoredToken).
	Token string `json:"token"`
	// Checksum is the backup's, in hexadecimal; Revision is that of the keys.
	Checksum string      `json:"checksum"`
	Revision kv.Revision `json:"revision"`
	// Finished says that all of it is in the directory.
	Finished bool `json:"finished"`
}

// whole reports whether the directory is not one that a restore left half made.
func (r *restored) whole() bool { return r == nil || r.Finished }

func (d *description) unfinished(dir string) error {
	return kv.Invalid("data: the restore of a backup into %s was not finished; "+
		"restore it again, or remove the directory", dir)
}

// tokenPrefix begins the tokens of clusters that begin with a backup, and no
// others: who founds one must have restored it.
const tokenPrefix = "restored-"

// restoredToken is the token of the cluster that cl makes of a backup, whose
// first revision is at. It differs from that of any other backup, and as without
// one it depends on the addresses if cl has no token.
func (cl Cluster) restoredToken(checksum [sha256.Size]byte, at kv.Revision) string {
	h := sha256.New()
	fmt.Fprintf(h, "%x %d %s %s", checksum, int64(at), cl.id(), cl.Token)
	return tokenPrefix + hex.EncodeToString(h.Sum(nil)[:sha256.Size/2])
}

// isRestored reports whether the cluster began with a backup, as far as its
// token tells.
func (cl Cluster) isRestored() bool { return strings.HasPrefix(cl.Token, tokenPrefix) }

// origin says how the cluster came about, to nodes of others.
func (d *description) origin() string {
	if d.Restored == nil {
		return ""
	}
	return fmt.Sprintf("restored from the backup %.8s…, with the token %s",
		d.Restored.Checksum, d.Restored.Token)
}

// discard is how a replacement gets rid of what was restored: it is given
// everything by the others. It is nil if there is nothing.
func (d *description) discard() func(engine.Batch) error {
	if d.Restored == nil {
		return nil
	}
	return func(b engine.Batch) error {
		all := keyspace.Everything()
		return b.DeleteRange(all.Start, all.End)
	}
}
