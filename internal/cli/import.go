package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/miruvor/miruvor/internal/etcdimport"
	"github.com/miruvor/miruvor/internal/kv"
)

const importText = `Copy all keys of a running etcd, as of one revision, with their leases, into the
cluster at --endpoints; with --follow also everything that happens there from then
on, each revision as one, in order, until Ctrl-C. The source may be anything that
speaks etcd's API.

An import that ends early goes on where it was: give the same command again. How far
it is stands in a key of the target, which is there until the import has finished.
Keys begin anew at version 1; revisions are the target's own.

To change over: run with --follow until the lag is small. Stop what writes to etcd.
End the import with Ctrl-C, and run it with --until-idle 5s --verify: when that
exits with 0, all is there. Start what you stopped with the new addresses.`

type importCommand struct {
	*remote
	*keySyntax
	from    sourceFlags
	prefix  string
	options etcdimport.Options
	output  *choice
}

func newImport() *cobra.Command {
	m := &importCommand{output: newChoice(outputTable, outputJSON)}
	cmd := &cobra.Command{
		Use:   "import --from http://etcd:2379",
		Short: "Copy all keys of an etcd, and follow what happens there",
		Long:  importText,
		Example: `  miruvor import --from http://10.0.0.1:2379,http://10.0.0.2:2379
  miruvor import --from http://10.0.0.1:2379 --follow
  miruvor import --from http://10.0.0.1:2379 --until-idle 5s --verify`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              m.run,
	}
	m.remote, m.keySyntax = addRemote(cmd), addKeySyntax(cmd)
	m.from.add(cmd)
	m.options.Limits = kv.DefaultLimits
	flags, o := cmd.Flags(), &m.options
	flags.StringVar(&m.prefix, "prefix", "", "only the keys that begin with this")
	flags.BoolVar(&o.Follow, "follow", false, "go on with what happens in the source")
	flags.DurationVar(&o.UntilIdle, "until-idle", 0,
		"follow until everything is there and nothing new has\nhappened for so long")
	flags.BoolVar(&o.Overwrite, "overwrite", false,
		"take a target that holds keys, and delete those that the\nsource does not have")
	flags.BoolVar(&o.Verify, "verify", false, "compare all keys of both sides at the end")
	flags.DurationVar(&o.RetryFor, "retry", 10*time.Minute,
		"how long to go on when either side does not answer")
	flags.IntVar(&o.Limits.OpsMax, "max-txn-ops", o.Limits.OpsMax,
		"the most operations of a transaction, as the target has it")
	flags.IntVar(&o.Limits.RequestBytesMax, "max-request-bytes", o.Limits.RequestBytesMax,
		"the most bytes of a request, as the target has it")
	addChoice(cmd, m.output, "output", "o", "form of the answer")
	return cmd
}

func (m *importCommand) check() error {
	o := &m.options
	var problems []error
	refuse := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf(format, args...))
	}
	if o.UntilIdle != 0 {
		o.Follow = true
	}
	if o.UntilIdle != 0 && o.UntilIdle < time.Second {
		refuse("--until-idle is %v, it must be 1s at least", o.UntilIdle)
	}
	if o.RetryFor <= 0 {
		refuse("--retry is %v, it must be positive", o.RetryFor)
	}
	if o.Limits.OpsMax < 1 {
		refuse("--max-txn-ops is %d, it must be 1 at least", o.Limits.OpsMax)
	}
	if o.Limits.RequestBytesMax < requestBytesLeast {
		refuse("--max-request-bytes is %d, it must be %d at least", o.Limits.RequestBytesMax,
			requestBytesLeast)
	}
	if o.Verify && o.Follow && o.UntilIdle == 0 {
		refuse("--verify compares at the end, which --follow has only with --until-idle")
	}
	if err := m.from.check(); err != nil {
		problems = append(problems, err)
	}
	if len(problems) > 0 {
		return usageError{errors.Join(problems...)}
	}
	return nil
}

// requestBytesLeast has room for the mark of an import.
const requestBytesLeast = 1 << 10

func (m *importCommand) run(cmd *cobra.Command, _ []string) error {
	err := m.check()
	prefix, err2 := m.parse("--prefix", m.prefix)
	if err = errors.Join(err, err2); err != nil {
		return usageError{err}
	}
	target, err := m.open()
	if err != nil {
		return err
	}
	defer target.Close()
	from, err := m.from.open(cmd.Context(), m.timeout)
	if err != nil {
		return ended(cmd.Context(), err)
	}
	defer func() { _ = from.Close() }() // nothing waits to be sent
	progress := newImportProgress(cmd.ErrOrStderr())
	o := m.options
	o.From, o.To, o.Prefix = from, target, prefix
	o.RequestTimeout = m.timeout
	o.Logger = slog.New(slog.NewTextHandler(progress, nil))
	o.Progress = progress.show
	sum, err := etcdimport.Import(cmd.Context(), o)
	progress.end()
	return m.finish(cmd, &sum, err)
}

// finish tells how far the import came.
func (m *importCommand) finish(
	cmd *cobra.Command, sum *etcdimport.Summary, err error,
) error {
	if errors.Is(err, etcdimport.ErrNotEmpty) {
		return fmt.Errorf("%w; --overwrite makes them what the source has", err)
	}
	if errors.Is(err, etcdimport.ErrOtherSource) {
		return fmt.Errorf("%w; --overwrite begins anew", err)
	}
	if sum.Rounds == 0 && sum.Position == 0 && err != nil {
		return ended(cmd.Context(), err)
	}
	if printed := m.print(cmd.OutOrStdout(), sum); err == nil {
		return printed
	}
	if err := ended(cmd.Context(), err); !errors.Is(err, errInterrupted) {
		return fmt.Errorf("%w (the same command goes on from there)", err)
	}
	fmt.Fprintln(cmd.ErrOrStderr(), "miruvor: the same command goes on from there")
	return errInterrupted
}

// importJSON is an import for programs.
type importJSON struct {
	Source   kv.ClusterID `json:"source_cluster_id,string"`
	Revision kv.Revision  `json:"source_revision"`
	Lag      int64        `json:"lag"`
	Keys     int64        `json:"keys_read"`
	Puts     int64        `json:"puts"`
	Deletes  int64        `json:"deletes"`
	Bytes    int64        `json:"bytes"`
	Leases   int64        `json:"leases"`
	Rounds   int          `json:"rounds"`
	Resumed  bool         `json:"resumed"`
	Finished bool         `json:"finished"`
	Verified int64        `json:"verified"`
}

func (m *importCommand) print(out io.Writer, sum *etcdimport.Summary) error {
	lag := int64(sum.Head - sum.Position)
	if m.output.value == outputJSON {
		return printJSON(out, importJSON{
			sum.Source, sum.Position, lag, sum.Keys, sum.Puts, sum.Deletes, sum.Bytes,
			sum.Leases, sum.Rounds, sum.Resumed, sum.Finished, sum.Verified,
		})
	}
	revision := "none yet, keys are being copied"
	if sum.Position != 0 {
		revision = fmt.Sprintf("%d of the source, lag %d", int64(sum.Position), lag)
	}
	fields := []field{
		{"source", sum.Source},
		{"revision", revision},
		{"keys read", sum.Keys},
		{"puts", sum.Puts},
		{"deletes", sum.Deletes},
		{"bytes", sum.Bytes},
		{"leases", sum.Leases},
		{"resumed", sum.Resumed},
		{"finished", sum.Finished},
	}
	if m.options.Verify {
		fields = append(fields, field{"verified", sum.Verified})
	}
	return printFields(out, fields)
}

// importProgress shows a bar while keys are copied or compared, and a line while
// the source is followed. Lines of the log are written to it.
type importProgress struct {
	out    io.Writer
	phase  etcdimport.Phase
	meter  *meter
	screen *screen
}

func newImportProgress(out io.Writer) *importProgress {
	return &importProgress{out: out, meter: &meter{}, screen: newScreen(out)}
}

// show tells how far the import is.
func (p *importProgress) show(at etcdimport.Progress) {
	bytes := mebibytes(at.Bytes)
	if at.Phase == etcdimport.Following {
		p.meter.end()
		p.phase, p.meter = at.Phase, &meter{}
		p.screen.show(fmt.Sprintf("following, lag %d revisions", at.Lag()),
			fmt.Sprintf("revision %d of %d, %d changes, %s",
				int64(at.Position), int64(at.Head), at.Keys, bytes))
		return
	}
	if p.phase != at.Phase {
		p.meter.end()
		p.screen.end()
		p.phase, p.meter = at.Phase, newMeter(p.out, string(at.Phase), at.Total)
	}
	if p.meter.bar == nil {
		p.screen.show(string(at.Phase), fmt.Sprintf("%d of %d keys, %s", at.Keys, at.Total, bytes))
		return
	}
	p.meter.bar.Describe(fmt.Sprintf("%s keys, %s", at.Phase, bytes))
	p.meter.set(at.Keys)
}

// Write implements io.Writer.
func (p *importProgress) Write(line []byte) (int, error) {
	if p.meter.bar != nil {
		_ = p.meter.bar.Clear() // a bar that cannot be taken away stops nothing
	}
	return p.screen.Write(line)
}

func (p *importProgress) end() {
	p.meter.end()
	p.screen.end()
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
