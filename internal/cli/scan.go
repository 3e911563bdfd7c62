package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/miruvor/miruvor/internal/httpclient"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

type scanCommand struct {
	*remote
	*keyRange
	*reading
	output   *choice
	file     string
	limit    int
	keysOnly bool
	reverse  bool
	count    bool
}

func newScan() *cobra.Command {
	s := &scanCommand{output: newChoice(outputTable, outputJSON)}
	cmd := &cobra.Command{
		Use:   "scan",
		Short: "Print a range of keys, all as of one revision",
		Long: `Print a range of keys, all as of one revision, over however many shards. Without
--prefix, --start and --end it is every key. The table cuts long values; json, a
line a key, has every byte.`,
		Example: `  miruvor scan --prefix user/
  miruvor scan --start a --end m --keys-only
  miruvor scan -o json --file backup.ndjson`,
		Args:              cobra.ExactArgs(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              s.run,
	}
	s.remote, s.keyRange, s.reading = addRemote(cmd), addKeyRange(cmd), addReading(cmd)
	flags := cmd.Flags()
	flags.IntVar(&s.limit, "limit", 0, "the most keys to print, 0 for all")
	flags.BoolVar(&s.keysOnly, "keys-only", false, "leave the values out")
	flags.BoolVar(&s.reverse, "reverse", false, "in descending order, and the limit from the top")
	flags.BoolVar(&s.count, "count", false, "print only how many keys there are")
	flags.StringVar(&s.file, "file", "", "write to this file, which must not exist yet")
	addChoice(cmd, s.output, "output", "o", "form of the answer")
	return cmd
}

func (s *scanCommand) run(cmd *cobra.Command, _ []string) error {
	req, err := s.request()
	if err != nil {
		return err
	}
	if s.count {
		return s.printCount(cmd, req)
	}
	client, err := s.open()
	if err != nil {
		return err
	}
	defer client.Close()
	if s.file == "" {
		return ended(cmd.Context(), s.print(cmd, client, req, cmd.OutOrStdout(), &meter{}))
	}
	return ended(cmd.Context(), s.printToFile(cmd, client, req))
}

func (s *scanCommand) request() (kv.RangeRequest, error) {
	if s.limit < 0 {
		return kv.RangeRequest{}, usagef("--limit is %d, it must not be negative", s.limit)
	}
	keys, err := s.keys()
	if err != nil {
		return kv.RangeRequest{}, err
	}
	req, err := s.reading.request(keys)
	req.Limit, req.KeysOnly, req.Reverse = s.limit, s.keysOnly, s.reverse
	return req, err
}

func (s *scanCommand) printCount(cmd *cobra.Command, req kv.RangeRequest) error {
	req.CountOnly = true
	return s.do(cmd, func(ctx context.Context, client *httpclient.Client) error {
		resp, err := client.Range(ctx, req)
		if err != nil {
			return err
		}
		if s.output.value == outputJSON {
			return printJSON(cmd.OutOrStdout(), struct {
				Revision kv.Revision `json:"revision"`
				Count    int64       `json:"count"`
			}{resp.Revision, resp.Count})
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), resp.Count)
		return err
	})
}

// printToFile leaves no half of a file behind.
func (s *scanCommand) printToFile(
	cmd *cobra.Command, client *httpclient.Client, req kv.RangeRequest,
) error {
	total, err := s.total(cmd, client, req)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(s.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return fmt.Errorf("--file: %w", err)
	}
	progress := newMeter(cmd.ErrOrStderr(), "keys", total)
	err = s.print(cmd, client, req, file, progress)
	progress.end()
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(s.file))
	}
	return nil
}

// total is how many keys there will be about, if somebody wants to know.
func (s *scanCommand) total(
	cmd *cobra.Command, client *httpclient.Client, req kv.RangeRequest,
) (int64, error) {
	if !isTerminal(cmd.ErrOrStderr()) {
		return -1, nil
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), s.timeout)
	defer cancel()
	req.CountOnly = true
	resp, err := client.Range(ctx, req)
	if req.Limit > 0 {
		return min(resp.Count, int64(req.Limit)), err
	}
	return resp.Count, err
}

// print writes the keys of req to out. A page that takes too long ends it.
func (s *scanCommand) print(
	cmd *cobra.Command, client *httpclient.Client, req kv.RangeRequest, out io.Writer, m *meter,
) error {
	ctx, cancel := context.WithCancelCause(cmd.Context())
	defer cancel(nil)
	watchdog := time.AfterFunc(s.timeout, func() {
		cancel(fmt.Errorf("nothing came for %v", s.timeout))
	})
	defer watchdog.Stop()
	printer := s.printer(out)
	done := int64(0)
	for pair, err := range client.Scan(ctx, req) {
		if err == nil {
			err = printer.print(&pair)
		}
		if err != nil {
			return errors.Join(cmp.Or(context.Cause(ctx), err), printer.end())
		}
		watchdog.Reset(s.timeout)
		done++
		m.set(done)
	}
	return printer.end()
}

// pairPrinter prints keys one by one.
type pairPrinter interface {
	print(pair *kv.KeyValue) error
	end() error
}

func (s *scanCommand) printer(out io.Writer) pairPrinter {
	if s.output.value == outputJSON {
		return &jsonPrinter{out: bufio.NewWriter(out), keysOnly: s.keysOnly}
	}
	return &tablePrinter{
		table:  tabwriter.NewWriter(out, 0, 0, 2, ' ', 0),
		syntax: s.keySyntax, keysOnly: s.keysOnly,
	}
}

// jsonPrinter prints a line of JSON a key.
type jsonPrinter struct {
	out      *bufio.Writer
	line     []byte
	keysOnly bool
}

func (p *jsonPrinter) print(pair *kv.KeyValue) error {
	p.line = append(kvjson.AppendKeyValue(p.line[:0], pair, p.keysOnly), '\n')
	_, err := p.out.Write(p.line)
	return err
}

func (p *jsonPrinter) end() error { return p.out.Flush() }

// The bounds of a table.
const (
	shownValueMax = 60
	// alignedRows is how many rows are kept back to align their columns.
	alignedRows = 1000
)

// tablePrinter prints a table whose columns are aligned over some rows.
type tablePrinter struct {
	table    *tabwriter.Writer
	syntax   *keySyntax
	keysOnly bool
	rows     int
}

func (p *tablePrinter) print(pair *kv.KeyValue) error {
	if p.rows == 0 {
		if p.keysOnly {
			fmt.Fprintln(p.table, "KEY\tREVISION")
		} else {
			fmt.Fprintln(p.table, "KEY\tREVISION\tVALUE")
		}
	}
	p.rows++
	fmt.Fprintf(p.table, "%s\t%d", p.syntax.show(pair.Key), int64(pair.ModRevision))
	if !p.keysOnly {
		fmt.Fprintf(p.table, "\t%s", shortened(printable(pair.Value), shownValueMax))
	}
	if _, err := fmt.Fprintln(p.table); err != nil || p.rows%alignedRows != 0 {
		return err
	}
	return p.table.Flush()
}

func (p *tablePrinter) end() error { return p.table.Flush() }
