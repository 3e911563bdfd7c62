package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/miruvor/miruvor/internal/httpclient"
)

type statusCommand struct {
	*remote
	output *choice
}

func newStatus() *cobra.Command {
	s := &statusCommand{output: newChoice(outputTable, outputJSON)}
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show nodes, shards, leaders, revisions and lag",
		Long: `Show nodes, shards, leaders, revisions and lag, as all nodes together see them:
the endpoints are asked, and the nodes that these know of.`,
		Args:              cobra.ExactArgs(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              s.run,
	}
	s.remote = addRemote(cmd)
	addChoice(cmd, s.output, "output", "o", "form of the answer")
	return cmd
}

func (s *statusCommand) run(cmd *cobra.Command, _ []string) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), s.timeout)
	defer cancel()
	views := s.askAll(ctx)
	if err := usable(views); err != nil {
		return ended(cmd.Context(), err)
	}
	t := merge(views)
	if s.output.value == outputJSON {
		return printJSON(cmd.OutOrStdout(), t)
	}
	return t.print(cmd.OutOrStdout())
}

// askAll asks the endpoints, and then the nodes that they tell of.
func (s *statusCommand) askAll(ctx context.Context) []view {
	views := ask(ctx, s.endpoints)
	var more []string
	for _, v := range views {
		for _, node := range v.status.Nodes {
			answered := slices.ContainsFunc(views, func(o view) bool {
				return o.err == nil && o.status.Node == node.ID
			})
			if node.Client != "" && !answered && !slices.Contains(s.endpoints, node.Client) &&
				!slices.Contains(more, node.Client) {
				more = append(more, node.Client)
			}
		}
	}
	return append(views, ask(ctx, more)...)
}

// ask asks each endpoint for its own view, all at once.
func ask(ctx context.Context, endpoints []string) []view {
	views := make([]view, len(endpoints))
	var wg sync.WaitGroup
	for i, endpoint := range endpoints {
		wg.Go(func() { views[i] = askOne(ctx, endpoint) })
	}
	wg.Wait()
	return views
}

func askOne(ctx context.Context, endpoint string) view {
	v := view{endpoint: strings.TrimPrefix(endpoint, "http://")}
	client, err := httpclient.New(httpclient.Options{Endpoints: []string{endpoint}})
	if err != nil {
		v.err = err
		return v
	}
	defer client.Close()
	v.status, v.err = client.Status(ctx)
	return v
}

// usable refuses views that make no picture: none, or of several clusters.
func usable(views []view) error {
	var first *view
	for i := range views {
		v := &views[i]
		switch {
		case v.err != nil:
		case first == nil:
			first = v
		case v.status.Cluster != first.status.Cluster:
			return fmt.Errorf("%s is of cluster %v, %s of cluster %v: ask for one at a time",
				first.endpoint, first.status.Cluster, v.endpoint, v.status.Cluster)
		}
	}
	if first == nil {
		return views[0].err
	}
	return nil
}

// print prints t for people.
func (t *topology) print(out io.Writer) error {
	fmt.Fprintf(out, "cluster %v, revision %d\n\n", t.Cluster, int64(t.Revision))
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NODE\tSTATE\tCLIENTS\tPEERS\tLEADS\tREVISION\tVERSION")
	for _, n := range t.Nodes {
		revision := "-"
		if n.State != stateUnreachable {
			revision = fmt.Sprint(int64(n.Revision))
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", n.Name, n.State,
			orDash(n.Client), orDash(n.Peer), n.Leads, revision, orDash(n.Version))
	}
	fmt.Fprintln(table)
	fmt.Fprintln(table, "SHARD\tFROM\tTO\tLEADER\tTERM\tCOMMIT\tREVISION\tREPLICAS")
	for i := range t.Shards {
		t.Shards[i].print(table)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, n := range t.Nodes {
		if n.Reason != "" {
			fmt.Fprintf(out, "\n%s is %s: %s\n", n.Name, n.State, n.Reason)
		}
	}
	for _, a := range t.Alarms {
		fmt.Fprintf(out, "\nalarm of node %d: %v\n", uint64(a.Node), a.Kind)
	}
	return nil
}

// shownKeyMax is how much of a shard's bound is shown.
const shownKeyMax = 24

func (s *shardView) print(out io.Writer) {
	from, to := "first key", "last key"
	switch {
	case s.ID == 0:
		from, to = "(system)", "-"
	default:
		if len(s.start) > 0 {
			from = shortened(printable(s.start), shownKeyMax)
		}
		if s.end != nil {
			to = shortened(printable(s.end), shownKeyMax)
		}
	}
	fmt.Fprintf(out, "%d\t%s\t%s\t%s\t%d\t%d\t%d\t%s\n", s.ID, from, to,
		orDash(s.LeaderName), s.Term, s.Commit, int64(s.Revision), s.replicas())
}

// replicas lists where the shard is, and who lags behind by how much.
func (s *shardView) replicas() string {
	var words []string
	for _, r := range s.Replicas {
		word := r.NodeName
		if r.Learner {
			word += " (learner)"
		}
		if r.Lag > 0 {
			word += fmt.Sprintf(" (lag %d)", r.Lag)
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
