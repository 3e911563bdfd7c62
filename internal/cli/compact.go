package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/miruvor/miruvor/internal/httpclient"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

type compactCommand struct {
	*remote
	output *choice
}

func newCompact() *cobra.Command {
	c := &compactCommand{output: newChoice(outputTable, outputJSON)}
	cmd := &cobra.Command{
		Use:   "compact REVISION",
		Short: "Forget what only reads below a revision could see",
		Long: `Forget what only reads below a revision could see, in the whole cluster. Reads and
watches below it are refused from then on; the space comes back in the background.
It prints the cluster's current revision.`,
		Example:           "  miruvor compact 1000",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              c.run,
	}
	c.remote = addRemote(cmd)
	addChoice(cmd, c.output, "output", "o", "form of the answer")
	return cmd
}

func (c *compactCommand) run(cmd *cobra.Command, args []string) error {
	oldest, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil || oldest <= 0 {
		return usagef("REVISION is %q, it must be a positive whole number", args[0])
	}
	return c.do(cmd, func(ctx context.Context, client *httpclient.Client) error {
		current, err := client.Compact(ctx, kv.Revision(oldest))
		if err != nil {
			return err
		}
		if c.output.value == outputJSON {
			return printJSON(cmd.OutOrStdout(),
				kvjson.Compacted{Revision: current, Compacted: kv.Revision(oldest)})
		}
		return printRevision(cmd, c.output, current)
	})
}
