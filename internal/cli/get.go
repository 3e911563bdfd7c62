package cli

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/miruvor/miruvor/internal/httpclient"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// reading are the flags of every read.
type reading struct {
	revision     int64
	serializable bool
}

func addReading(cmd *cobra.Command) *reading {
	r := &reading{}
	cmd.Flags().Int64Var(&r.revision, "revision", 0, "as it was at this revision")
	cmd.Flags().BoolVar(&r.serializable, "serializable", false,
		"what the node itself has: fast, consistent, maybe old")
	return r
}

func (r *reading) request(keys kv.Range) (kv.RangeRequest, error) {
	if r.revision < 0 {
		return kv.RangeRequest{}, usagef("--revision is %d, it must be positive", r.revision)
	}
	return kv.RangeRequest{
		Range: keys, Revision: kv.Revision(r.revision), Serializable: r.serializable,
	}, nil
}

type getCommand struct {
	*remote
	*keySyntax
	*reading
	output *choice
}

func newGet() *cobra.Command {
	g := &getCommand{output: newChoice(outputRaw, outputTable, outputJSON)}
	cmd := &cobra.Command{
		Use:   "get KEY",
		Short: "Print the value of a key",
		Long: `Print the value of a key: its bytes as they are, and a newline behind them if
they go to a terminal. With -o table or json, its revisions too.`,
		Example: `  miruvor get greeting
  miruvor get photo > photo.jpg
  miruvor get greeting --revision 7 -o json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              g.run,
	}
	g.remote, g.keySyntax, g.reading = addRemote(cmd), addKeySyntax(cmd), addReading(cmd)
	addChoice(cmd, g.output, "output", "o", "form of the answer")
	return cmd
}

func (g *getCommand) run(cmd *cobra.Command, args []string) error {
	key, err := g.one(args[0])
	if err != nil {
		return err
	}
	req, err := g.request(kv.PointRange(key))
	if err != nil {
		return err
	}
	return g.do(cmd, func(ctx context.Context, client *httpclient.Client) error {
		resp, err := client.Range(ctx, req)
		if err != nil {
			return err
		}
		if len(resp.KVs) == 0 {
			return nof("there is no key %s", g.show(key))
		}
		return g.answer(cmd.OutOrStdout(), &resp.KVs[0])
	})
}

func (g *getCommand) answer(out io.Writer, pair *kv.KeyValue) error {
	switch g.output.value {
	case outputJSON:
		_, err := out.Write(append(kvjson.AppendKeyValue(nil, pair, false), '\n'))
		return err
	case outputTable:
		table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintf(table, "key\t%s\nvalue\t%s\n", g.show(pair.Key), printable(pair.Value))
		fmt.Fprintf(table, "created\trevision %d\nchanged\trevision %d\nversion\t%d\n",
			int64(pair.CreateRevision), int64(pair.ModRevision), pair.Version)
		if pair.Lease != 0 {
			fmt.Fprintf(table, "lease\t%d\n", int64(pair.Lease))
		}
		return table.Flush()
	}
	if _, err := out.Write(pair.Value); err != nil {
		return err
	}
	if isTerminal(out) {
		_, err := fmt.Fprintln(out)
		return err
	}
	return nil
}
