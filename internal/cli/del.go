package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/miruvor/miruvor/internal/httpclient"
	"github.com/miruvor/miruvor/internal/kv"
)

type delCommand struct {
	*remote
	*keyRange
	condition
	output *choice
}

func newDel() *cobra.Command {
	d := &delCommand{output: newChoice(outputTable, outputJSON)}
	cmd := &cobra.Command{
		Use:   "del KEY | --prefix P | --start A --end B",
		Short: "Delete a key, or a range of keys at once",
		Example: `  miruvor del greeting
  miruvor del greeting --if-revision 7
  miruvor del --prefix user/alice/`,
		Args:                  cobra.MaximumNArgs(1),
		ValidArgsFunction:     cobra.NoFileCompletions,
		DisableFlagsInUseLine: true,
		RunE:                  d.run,
	}
	d.remote, d.keyRange = addRemote(cmd), addKeyRange(cmd)
	addRevisionCondition(cmd, &d.condition)
	addChoice(cmd, d.output, "output", "o", "form of the answer")
	return cmd
}

func (d *delCommand) run(cmd *cobra.Command, args []string) error {
	if err := d.condition.check(); err != nil {
		return err
	}
	req, shown, err := d.request(args)
	if err != nil {
		return err
	}
	return d.do(cmd, func(ctx context.Context, client *httpclient.Client) error {
		resp, err := client.Txn(ctx, req)
		switch {
		case err != nil:
			return err
		case !resp.Succeeded:
			return d.refused(shown, &resp)
		case resp.Results[0].Delete.Deleted == 0 && len(args) == 1:
			return nof("there is no key %s", shown)
		}
		return d.answer(cmd, &resp)
	})
}

// request is what to ask for; shown is the key, if it is one.
func (d *delCommand) request(args []string) (req kv.TxnRequest, shown string, err error) {
	switch {
	case len(args) == 1 && d.given():
		return req, "", usagef("KEY goes not with --prefix, --start or --end")
	case len(args) == 0 && !d.given():
		return req, "", usagef("no keys are named: give KEY, or --prefix, --start or --end; " +
			"--prefix= is every key")
	case len(args) == 0 && d.revision != 0:
		return req, "", usagef("--if-revision goes with KEY only")
	case len(args) == 0:
		keys, err := d.keys()
		return kv.TxnRequest{Success: []kv.Op{{Delete: &kv.DeleteRequest{Range: keys}}}}, "", err
	}
	key, err := d.one(args[0])
	if err != nil {
		return req, "", err
	}
	del := &kv.DeleteRequest{Range: kv.PointRange(key)}
	return d.guard(key, kv.Op{Delete: del}), d.show(key), nil
}

func (d *delCommand) answer(cmd *cobra.Command, resp *kv.TxnResponse) error {
	deleted := resp.Results[0].Delete.Deleted
	if d.output.value == outputJSON {
		return printJSON(cmd.OutOrStdout(), struct {
			Revision kv.Revision `json:"revision"`
			Deleted  int64       `json:"deleted"`
		}{resp.Revision, deleted})
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "revision %d, deleted %d\n",
		int64(resp.Revision), deleted)
	return err
}
