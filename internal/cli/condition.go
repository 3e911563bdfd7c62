package cli

import (
	"github.com/spf13/cobra"

	"github.com/miruvor/miruvor/internal/kv"
)

// condition is what a write of one key depends on.
type condition struct {
	absent   bool
	revision int64
}

func addRevisionCondition(cmd *cobra.Command, c *condition) {
	cmd.Flags().Int64Var(&c.revision, "if-revision", 0,
		"only if the key was last changed at this revision")
}

func (c *condition) check() error {
	switch {
	case c.absent && c.revision != 0:
		return usagef("--if-absent and --if-revision exclude each other")
	case c.revision < 0:
		return usagef("--if-revision is %d, it must be positive", c.revision)
	}
	return nil
}

// guard makes op depend on c. If c does not hold, the answer is the key's
// version instead.
func (c *condition) guard(key []byte, op kv.Op) kv.TxnRequest {
	req := kv.TxnRequest{Success: []kv.Op{op}}
	switch {
	case c.absent:
		req.Compares = []kv.Compare{{Key: key, Target: kv.CompareVersion}}
	case c.revision != 0:
		req.Compares = []kv.Compare{{Key: key, Target: kv.CompareMod, Number: c.revision}}
	default:
		return req
	}
	current := &kv.RangeRequest{Range: kv.PointRange(key), KeysOnly: true}
	req.Failure = []kv.Op{{Range: current}}
	return req
}

// refused says why c did not hold; shown is the key.
func (c *condition) refused(shown string, resp *kv.TxnResponse) error {
	found := resp.Results[0].Range.KVs
	switch {
	case len(found) == 0:
		return nof("there is no key %s", shown)
	case c.absent:
		return nof("key %s exists, at revision %d", shown, int64(found[0].ModRevision))
	}
	return nof("key %s is at revision %d, not %d", shown, int64(found[0].ModRevision), c.revision)
}
