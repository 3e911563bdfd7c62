package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/node"
)

const rebuildText = `Have a stopped node whose directory is damaged get all of its data from the
other nodes. The cluster is asked first whether it can do without what the
node has: every shard needs a leader, and a majority of its nodes that answer, without
this one. If so the directory gets another name, and nothing else is changed.
Started with the same settings, the node joins as a new replica and gets its shards.

The old directory is not needed after that. Never put it back: others would rely on
promises that the node no longer knows of.`

type rebuildCommand struct {
	*remote
	name string
}

func newRebuild() *cobra.Command {
	r := &rebuildCommand{}
	cmd := &cobra.Command{
		Use:   "rebuild DIR",
		Short: "Have a stopped node get its data from the others",
		Long:  rebuildText,
		Example: `  miruvor rebuild /var/lib/miruvor --endpoints 10.0.0.1:2379,10.0.0.2:2379
  miruvor start --config /etc/miruvor.yaml`,
		Args: cobra.ExactArgs(1),
		ValidArgsFunction: func(
			*cobra.Command, []string, string,
		) ([]cobra.Completion, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: r.run,
	}
	r.remote = addRemote(cmd)
	cmd.GroupID = groupServer
	cmd.Flags().StringVar(&r.name, "name", "",
		"name of the node, if the directory can't tell any more")
	return cmd
}

func (r *rebuildCommand) run(cmd *cobra.Command, args []string) error {
	owner, err := node.OwnerOf(args[0])
	switch {
	case errors.Is(err, kv.ErrCorrupt) && r.name == "":
		return fmt.Errorf("whose directory it is can't be read, so give the node's --name: %w", err)
	case errors.Is(err, kv.ErrCorrupt):
		owner.Name = r.name
	case err != nil:
		return err
	case r.name != "" && r.name != owner.Name:
		return usagef("--name is %q, but %s belongs to the node %q", r.name, args[0], owner.Name)
	}
	if err := r.await(cmd, owner); err != nil {
		return err
	}
	to, err := node.SetAside(args[0])
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is now %s\n"+
		"start %s as before: it gets its data from the others\n", args[0], to, owner.Name)
	return err
}

// askPause lies between two looks at the cluster.
const askPause = 200 * time.Millisecond

// await waits until the cluster can do without what a node has: it may just be about to
// elect leaders in its place.
func (r *rebuildCommand) await(cmd *cobra.Command, owner node.Owner) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), r.timeout)
	defer cancel()
	tick := time.NewTicker(askPause)
	defer tick.Stop()
	for {
		views := (&statusCommand{remote: r.remote}).askAll(ctx)
		err := usable(views)
		if err != nil {
			err = fmt.Errorf("nothing was done: %w", err)
		} else {
			t := merge(views)
			err = errors.Join(t.doesWithout(owner)...)
		}
		if err == nil || ctx.Err() != nil {
			return ended(cmd.Context(), err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ended(cmd.Context(), err)
		}
	}
}

// doesWithout lists why the cluster needs what a node has, if it does.
func (t *topology) doesWithout(owner node.Owner) []error {
	var problems []error
	bad := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("nothing was done: "+format, args...))
	}
	if owner.Cluster != 0 && owner.Cluster != t.Cluster {
		bad("the directory is of cluster %v, the endpoints are of cluster %v",
			owner.Cluster, t.Cluster)
		return problems
	}
	at := slices.IndexFunc(t.Nodes, func(n nodeView) bool { return n.Name == owner.Name })
	switch {
	case at < 0:
		bad("the cluster has no node %q", owner.Name)
		return problems
	case len(t.Nodes) == 1:
		bad("%s is the only node: what it has is nowhere else", owner.Name)
		return problems
	case t.Nodes[at].State != stateUnreachable:
		bad("%s runs, at %s: stop it first", owner.Name, t.Nodes[at].Client)
	}
	if !t.isWhole() {
		bad("not all shards are known to the nodes that answer")
	}
	for i := range t.Shards {
		if why := t.lacks(&t.Shards[i], t.Nodes[at].ID); why != "" {
			bad("shard %d %s", uint32(t.Shards[i].ID), why)
		}
	}
	return problems
}

// lacks says why a shard can't do without a node, "" if it can.
func (t *topology) lacks(s *shardView, without kv.NodeID) string {
	ready := map[kv.NodeID]bool{}
	for _, n := range t.Nodes {
		ready[n.ID] = n.State == stateReady && n.ID != without
	}
	voters, left := 0, 0
	for _, r := range s.Replicas {
		if r.Learner {
			continue
		}
		voters++
		if ready[r.Node] {
			left++
		}
	}
	switch {
	case !ready[s.Leader]:
		return "has no leader among the others"
	case left < voters/2+1:
		return fmt.Sprintf("has %d of its %d voters left, which is no majority", left, voters)
	}
	return ""
}

// isWhole reports whether the shards are all: the system shard, and those that
// together hold every key.
func (t *topology) isWhole() bool {
	shards := slices.Clone(t.Shards)
	slices.SortFunc(shards, func(a, b shardView) int {
		return cmp.Or(cmp.Compare(min(a.ID, 1), min(b.ID, 1)), bytes.Compare(a.start, b.start))
	})
	if len(shards) < 2 || shards[0].ID != kv.SystemShard {
		return false
	}
	var end []byte
	for i, s := range shards[1:] {
		if i > 0 && end == nil || !bytes.Equal(s.start, end) {
			return false
		}
		end = s.end
	}
	return end == nil
}
