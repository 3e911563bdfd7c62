package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

type watchCommand struct {
	*remote
	*keyRange
	output   *choice
	revision int64
	limit    int
	prev     bool
	noPut    bool
	noDelete bool
	// shown is how many changes were printed.
	shown int
}

func newWatch() *cobra.Command {
	w := &watchCommand{output: newChoice(outputTable, outputJSON)}
	cmd := &cobra.Command{
		Use:   "watch [KEY | --prefix P | --start A --end B]",
		Short: "Print what changes, until Ctrl-C",
		Long: `Print the changes of a key or a range as they happen, in order, each once, until
Ctrl-C. Without KEY and flags it is every key. When a node is lost it goes on
with another, behind what was printed last, and waits while there is none. The
table cuts long values; json, a line a change, has every byte.`,
		Example: `  miruvor watch greeting
  miruvor watch --prefix user/ --prev
  miruvor watch --revision 7 --limit 10 -o json`,
		Args:                  cobra.MaximumNArgs(1),
		ValidArgsFunction:     cobra.NoFileCompletions,
		DisableFlagsInUseLine: true,
		RunE:                  w.run,
	}
	w.remote, w.keyRange = addRemote(cmd), addKeyRange(cmd)
	flags := cmd.Flags()
	flags.Int64Var(&w.revision, "revision", 0, "begin with the changes of this revision, else now")
	flags.BoolVar(&w.prev, "prev", false, "print the value before, too")
	flags.BoolVar(&w.noPut, "no-put", false, "leave puts out")
	flags.BoolVar(&w.noDelete, "no-delete", false, "leave deletions out")
	flags.IntVar(&w.limit, "limit", 0, "end after so many changes, 0 for never")
	addChoice(cmd, w.output, "output", "o", "form of the answer")
	return cmd
}

func (w *watchCommand) run(cmd *cobra.Command, args []string) error {
	req, err := w.request(args)
	if err != nil {
		return err
	}
	err = w.follow(cmd, req)
	if errors.Is(context.Cause(cmd.Context()), errInterrupted) {
		return nil // which is how it is meant to end
	}
	return err
}

func (w *watchCommand) request(args []string) (kv.WatchRequest, error) {
	req := kv.WatchRequest{
		From: kv.Revision(w.revision), PrevKV: w.prev, NoPut: w.noPut, NoDelete: w.noDelete,
	}
	switch {
	case w.revision < 0:
		return req, usagef("--revision is %d, it must be positive", w.revision)
	case w.limit < 0:
		return req, usagef("--limit is %d, it must not be negative", w.limit)
	case w.noPut && w.noDelete:
		return req, usagef("--no-put and --no-delete leave nothing")
	case len(args) == 1 && w.given():
		return req, usagef("KEY goes not with --prefix, --start or --end")
	case len(args) == 1:
		key, err := w.one(args[0])
		req.Range = kv.PointRange(key)
		return req, err
	}
	var err error
	req.Range, err = w.keys()
	return req, err
}

// follow prints what a watch tells. Only its beginning is bound in time.
func (w *watchCommand) follow(cmd *cobra.Command, req kv.WatchRequest) error {
	client, err := w.open()
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithCancelCause(cmd.Context())
	defer cancel(nil)
	stream, err := client.Watch(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	late := time.AfterFunc(w.timeout, func() {
		cancel(fmt.Errorf("the watch did not begin within %v", w.timeout))
	})
	_, err = stream.Add(req)
	late.Stop()
	for err == nil && !w.done() {
		var resp kv.WatchResponse
		if resp, err = stream.Next(ctx); err == nil {
			err = w.print(cmd.OutOrStdout(), &resp)
		}
	}
	if err != nil {
		return cmp.Or(context.Cause(ctx), err)
	}
	return nil
}

func (w *watchCommand) done() bool { return w.limit > 0 && w.shown >= w.limit }

// print prints a response at once.
func (w *watchCommand) print(out io.Writer, resp *kv.WatchResponse) error {
	if resp.Compacted != 0 {
		return fmt.Errorf("%w: the oldest left is --revision %d",
			kv.ErrCompacted, int64(resp.Compacted))
	}
	var text []byte
	for i := range resp.Events {
		if w.done() {
			break
		}
		if w.output.value == outputJSON {
			text = append(kvjson.AppendEvent(text, &resp.Events[i]), '\n')
		} else {
			text = w.appendRow(text, &resp.Events[i])
		}
		w.shown++
	}
	_, err := out.Write(text)
	return err
}

// appendRow appends a row of the table, the header before the first. What
// comes later is not known, so only the first columns are aligned.
func (w *watchCommand) appendRow(text []byte, event *kv.Event) []byte {
	if w.shown == 0 {
		text = append(text, "REVISION  CHANGE  KEY  VALUE\n"...)
	}
	change, value := "put", "  "+shortened(printable(event.KV.Value), shownValueMax)
	if event.Deleted {
		change, value = "delete", ""
	}
	text = fmt.Appendf(text, "%-8d  %-6s  %s%s", int64(event.KV.ModRevision), change,
		w.show(event.KV.Key), value)
	if event.Prev != nil {
		before := shortened(printable(event.Prev.Value), shownValueMax)
		text = fmt.Appendf(text, "  (was %s)", before)
	}
	return append(text, '\n')
}
