package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/node"
)

const restoreText = `Make the data directory of a node that begins with a backup. Restore the same
file for each node of the new cluster, with the settings that the node is then
started with; nodes with other backups, or with none, are refused. The new cluster
may have any number of nodes and shards.

Keys keep their revisions, versions and leases; leases begin their time anew. What
was before the backup counts as compacted, and so do the revisions that
--bump-revision leaves out: clients of the old cluster may have seen some that are
above the backup's.

It takes all settings of miruvor start, from flags, environment and file, so that
the same ones can be given; only those below matter.`

type restoreCommand struct {
	options  *startOptions
	settings *settings
	bump     int64
	output   *choice
}

func newRestore() *cobra.Command {
	r := &restoreCommand{output: newChoice(outputTable, outputJSON)}
	cmd := &cobra.Command{
		Use:     "restore FILE",
		Short:   "Make a node's data directory from a backup",
		Long:    restoreText,
		GroupID: groupServer,
		Example: `  miruvor restore miruvor.backup
  miruvor restore miruvor.backup --name n1 --data /var/lib/miruvor --initial-shards 8 \
    --initial-cluster n1=10.0.0.1:2380,n2=10.0.0.2:2380,n3=10.0.0.3:2380
  miruvor restore miruvor.backup --config /etc/miruvor.yaml --bump-revision 1000000`,
		Args: cobra.ExactArgs(1),
		RunE: r.run,
	}
	r.options = addStartFlags(cmd)
	cmd.Flags().String("config", "", "YAML file of settings, as of miruvor start")
	r.settings = newSettings(cmd.Flags(), "config")
	cmd.Flags().Int64Var(&r.bump, "bump-revision", 1,
		"how far the new cluster's first revision is above the\nbackup's")
	addChoice(cmd, r.output, "output", "o", "form of the answer")
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		f.Hidden = !slices.Contains(restoreFlags, f.Name)
	})
	return cmd
}

// restoreFlags are those that matter to a restore.
var restoreFlags = []string{
	"name", "data", "initial-cluster", "initial-cluster-token", "initial-shards", "split-at",
	"replicas", "config", "bump-revision", "output", "help",
}

func (r *restoreCommand) run(cmd *cobra.Command, args []string) error {
	err := r.settings.load(os.Getenv)
	config, err2 := r.options.config()
	if err == nil {
		err = r.options.zeros()
	}
	if r.bump < 1 {
		err = errors.Join(err, fmt.Errorf("--bump-revision is %d, it must be 1 at least", r.bump))
	}
	if err := errors.Join(err, err2); err != nil {
		return usageError{err}
	}
	file, _, err := openBackup(args[0])
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	report, end := meterOfBytes(cmd.ErrOrStderr())
	made, err := node.Restore(config.node, node.Backup{
		Name: args[0], File: &interruptible{cmd.Context(), file}, Bump: kv.Revision(r.bump),
		Progress: report,
	})
	end()
	if err != nil {
		return ended(cmd.Context(), err)
	}
	return r.print(cmd, &config.node, args[0], &made)
}

// restoredJSON is what became of a restore, for programs.
type restoredJSON struct {
	Name    string       `json:"name"`
	Data    string       `json:"data"`
	First   kv.Revision  `json:"first_revision"`
	Cluster kv.ClusterID `json:"cluster_id,string"`
	Token   string       `json:"token"`
	Backup  backupJSON   `json:"backup"`
}

func (r *restoreCommand) print(
	cmd *cobra.Command, c *node.Config, file string, made *node.Restoration,
) error {
	out := cmd.OutOrStdout()
	b := describeBackup(file, made.Summary)
	if r.output.value == outputJSON {
		return printJSON(out, restoredJSON{
			c.Name, c.Dir, made.First, made.Cluster, made.Token, b,
		})
	}
	return printFields(out, []field{
		{"node", c.Name},
		{"data", c.Dir},
		{"keys", b.Keys},
		{"leases", b.Leases},
		{"revision", fmt.Sprintf("%d in the backup, the cluster begins at %d",
			int64(b.Revision), int64(made.First))},
		{"sha256", b.SHA256},
		{"cluster", made.Cluster},
		{"token", made.Token},
	})
}
