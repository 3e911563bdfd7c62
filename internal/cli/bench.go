package cli

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/miruvor/miruvor/internal/bench"
)

const benchDurationDefault = 10 * time.Second

type benchCommand struct {
	*remote
	config bench.Config
	output *choice
}

func newBench() *cobra.Command {
	b := &benchCommand{output: newChoice(outputTable, outputJSON)}
	cmd := &cobra.Command{
		Use:   "bench [put | get | mixed]",
		Short: "Put load on any endpoints, and measure throughput and latency",
		Long: `Put load on any endpoints, and measure throughput, latency and errors. Each client
has one request under way at a time; the clients spread over the endpoints. Before
reads, every key is put once.

The keys are like k3/bench/0000000042, and their beginnings spread over all
shards; with --prefix they begin with that. They stay in the store.`,
		Example: `  miruvor bench
  miruvor bench put --clients 256 --duration 30s --value-size 1000
  miruvor bench get --total 100000 --endpoints 127.0.0.1:2379,127.0.0.1:22379`,
		Args:              cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs:         []string{"put", "get", "mixed"},
		ValidArgsFunction: nil,
		RunE:              b.run,
	}
	b.remote = addRemote(cmd)
	flags := cmd.Flags()
	flags.IntVar(&b.config.Clients, "clients", 64, "requests under way at once")
	flags.DurationVar(&b.config.Duration, "duration", benchDurationDefault, "how long to measure")
	flags.Int64Var(&b.config.Total, "total", 0, "end after so many operations instead")
	flags.IntVar(&b.config.ReadPercent, "reads", 50, "reads among 100 operations of mixed")
	flags.BoolVar(&b.config.Serializable, "serializable", false, "read what the node itself has")
	flags.IntVar(&b.config.Keys, "keys", 10_000, "number of different keys")
	flags.IntVar(&b.config.KeyBytes, "key-size", 24, "bytes of a key")
	flags.IntVar(&b.config.ValueBytes, "value-size", 100, "bytes of a value")
	flags.StringVar(&b.config.Prefix, "prefix", "", "what every key begins with")
	flags.Uint64Var(&b.config.Seed, "seed", 1, "makes the choice of keys repeatable")
	addChoice(cmd, b.output, "output", "o", "form of the answer")
	return cmd
}

func (b *benchCommand) run(cmd *cobra.Command, args []string) error {
	if err := b.complete(cmd, args); err != nil {
		return err
	}
	watch := &benchMeter{out: cmd.ErrOrStderr(), duration: b.config.Duration, meter: &meter{}}
	report, err := bench.Run(cmd.Context(), b.config, watch.show)
	watch.meter.end()
	err = ended(cmd.Context(), err)
	if err != nil && (!errors.Is(err, errInterrupted) || report.Done() == 0) {
		return err
	}
	if printErr := b.print(cmd.OutOrStdout(), &report); printErr != nil {
		return printErr
	}
	if err == nil && report.Done() == 0 {
		return errors.New("no operation succeeded")
	}
	return err
}

// complete makes a configuration of the flags and refuses what is wrong.
func (b *benchCommand) complete(cmd *cobra.Command, args []string) error {
	b.config.Work = bench.Mixed
	if len(args) == 1 {
		b.config.Work = bench.Work(args[0])
	}
	if cmd.Flags().Changed("total") {
		if cmd.Flags().Changed("duration") {
			return usagef("--total and --duration exclude each other")
		}
		if b.config.Total <= 0 {
			return usagef("--total is %d, it must be positive", b.config.Total)
		}
		b.config.Duration = 0
	}
	b.config.Timeout = b.timeout
	for _, endpoint := range b.endpoints {
		if strings.HasPrefix(endpoint, "https://") {
			return usagef("--endpoints: bench does not speak TLS, %s wants it", endpoint)
		}
		target := strings.TrimSuffix(strings.TrimPrefix(endpoint, "http://"), "/")
		b.config.Targets = append(b.config.Targets, target)
	}
	if err := b.config.Validate(); err != nil {
		return usageError{err}
	}
	return nil
}

// benchMeter shows the progress of a load.
type benchMeter struct {
	out      io.Writer
	duration time.Duration
	phase    string
	meter    *meter
}

func (m *benchMeter) show(p bench.Progress) {
	done, total := p.Done, p.Total
	what := p.Phase + ", operations"
	if total == 0 {
		what = p.Phase + ", tenths of a second"
		done, total = p.Elapsed.Milliseconds()/100, m.duration.Milliseconds()/100
	}
	if m.phase != p.Phase {
		m.meter.end()
		m.phase, m.meter = p.Phase, newMeter(m.out, what, total)
	}
	m.meter.set(min(done, total))
}

func (b *benchCommand) print(out io.Writer, r *bench.Report) error {
	if b.output.value == outputJSON {
		return printJSON(out, r)
	}
	fmt.Fprintf(out, "%s, %d clients, %.1f s, %s\n\n", r.Work, r.Clients, r.Seconds,
		strings.Join(r.Targets, " "))
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tdone\tper second\tmean\tp50\tp90\tp99\tp99.9\tmax\t")
	for _, op := range r.Operations {
		l := &op.Latency
		fmt.Fprintf(table, "%s\t%d\t%.0f\t", op.Name, op.Done, op.PerSecond)
		for _, micros := range []int64{
			l.MeanMicros, l.P50Micros, l.P90Micros, l.P99Micros, l.P999Micros, l.MaxMicros,
		} {
			fmt.Fprintf(table, "%.2f ms\t", float64(micros)/1000)
		}
		fmt.Fprintln(table)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, op := range r.Operations {
		if op.Missing > 0 {
			fmt.Fprintf(out, "\n%d of the gets found no key\n", op.Missing)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(r.Errors)) {
		fmt.Fprintf(out, "\n%d failed: %s", r.Errors[kind], kind)
	}
	if len(r.Errors) > 0 {
		fmt.Fprintln(out)
	}
	return nil
}
