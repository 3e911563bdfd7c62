package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/miruvor/miruvor/internal/httpclient"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

type txnCommand struct {
	*remote
}

func newTxn() *cobra.Command {
	t := &txnCommand{}
	cmd := &cobra.Command{
		Use:   "txn [FILE | -]",
		Short: "Run a transaction, written as JSON",
		Long: `Run a transaction and print what became of it, both in the JSON of the HTTP API's
POST /v1/txn. It is read from a file, or from standard input without one. If the
compares do not hold, else runs, and the exit code is 3.`,
		Example: `  miruvor txn transfer.json
  echo '{"then": [{"put": {"key": "a", "value": "1"}}, {"delete": {"key": "b"}}]}' | miruvor txn`,
		Args: cobra.MaximumNArgs(1),
		RunE: t.run,
	}
	t.remote = addRemote(cmd)
	return cmd
}

func (t *txnCommand) run(cmd *cobra.Command, args []string) error {
	req, err := readTxn(cmd, args)
	if err != nil {
		return err
	}
	return t.do(cmd, func(ctx context.Context, client *httpclient.Client) error {
		resp, err := client.Txn(ctx, req)
		if err != nil {
			return err
		}
		text := append(kvjson.AppendTxnResult(nil, &req, &resp), '\n')
		if _, err := cmd.OutOrStdout().Write(text); err != nil {
			return err
		}
		if !resp.Succeeded {
			return nof("the compares do not hold, else ran")
		}
		return nil
	})
}

// readTxn reads a transaction from where the command line says that it is.
func readTxn(cmd *cobra.Command, args []string) (kv.TxnRequest, error) {
	name, in := "standard input", cmd.InOrStdin()
	if len(args) == 1 && args[0] != "-" {
		file, err := os.Open(args[0])
		if err != nil {
			return kv.TxnRequest{}, err
		}
		defer file.Close()
		name, in = args[0], file
	}
	text, err := readValue(name, in)
	if err != nil {
		return kv.TxnRequest{}, err
	}
	var j kvjson.Txn
	if err := kvjson.Decode(text, &j); err != nil {
		return kv.TxnRequest{}, fmt.Errorf("%s: %w", name, err)
	}
	req, err := j.Decode()
	if err != nil {
		return req, fmt.Errorf("%s: %w", name, err)
	}
	return req, nil
}
