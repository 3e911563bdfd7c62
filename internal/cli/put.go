package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/miruvor/miruvor/internal/httpclient"
	"github.com/miruvor/miruvor/internal/kv"
)

// valueBytesMax bounds what is read of a file or of standard input; servers
// take less.
const valueBytesMax = 64 << 20

type putCommand struct {
	*remote
	*keySyntax
	condition
	output *choice
	file   string
	lease  string
}

func newPut() *cobra.Command {
	p := &putCommand{output: newChoice(outputTable, outputJSON)}
	cmd := &cobra.Command{
		Use:   "put KEY [VALUE | -]",
		Short: "Set a key to a value",
		Long: `Set a key to a value: the argument, standard input if it is -, or a file.
The bytes are taken as they are. A key or value that begins with - comes behind --.`,
		Example: `  miruvor put greeting hello
  miruvor put photo --file photo.jpg
  date | miruvor put now -
  miruvor put lock me --if-absent
  miruvor put session/ann here --lease 81`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              p.run,
	}
	p.remote, p.keySyntax = addRemote(cmd), addKeySyntax(cmd)
	cmd.Flags().StringVar(&p.file, "file", "", "the file that holds the value")
	cmd.Flags().StringVar(&p.lease, "lease", "", "the lease that the key is to hang on")
	cmd.Flags().BoolVar(&p.absent, "if-absent", false, "only if there is no such key")
	addRevisionCondition(cmd, &p.condition)
	addChoice(cmd, p.output, "output", "o", "form of the answer")
	return cmd
}

func (p *putCommand) run(cmd *cobra.Command, args []string) error {
	if err := p.condition.check(); err != nil {
		return err
	}
	key, err := p.one(args[0])
	if err != nil {
		return err
	}
	value, err := p.value(cmd.InOrStdin(), args[1:])
	if err != nil {
		return err
	}
	put := &kv.PutRequest{Key: key, Value: value}
	if p.lease != "" {
		if put.Lease, err = parseLease("--lease", p.lease); err != nil {
			return err
		}
	}
	return p.do(cmd, func(ctx context.Context, client *httpclient.Client) error {
		resp, err := client.Txn(ctx, p.guard(key, kv.Op{Put: put}))
		if err != nil {
			return noLease(put.Lease, err)
		}
		if !resp.Succeeded {
			return p.refused(p.show(key), &resp)
		}
		return p.answer(cmd.OutOrStdout(), resp.Revision, resp.Results[0].Put.Version)
	})
}

// value is where the command line says that it is.
func (p *putCommand) value(in io.Reader, args []string) ([]byte, error) {
	switch {
	case p.file != "" && len(args) > 0:
		return nil, usagef("VALUE and --file exclude each other")
	case p.file != "":
		file, err := os.Open(p.file)
		if err != nil {
			return nil, fmt.Errorf("--file: %w", err)
		}
		defer file.Close()
		return readValue("--file "+p.file, file)
	case len(args) == 0:
		return nil, usagef("VALUE is missing; - reads it from standard input, --file from a file")
	case args[0] == "-":
		return readValue("standard input", in)
	}
	return []byte(args[0]), nil
}

func readValue(name string, r io.Reader) ([]byte, error) {
	value, err := io.ReadAll(io.LimitReader(r, valueBytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(value) > valueBytesMax {
		return nil, fmt.Errorf("%s holds more than %d bytes, which is the most",
			name, valueBytesMax)
	}
	return value, nil
}

func (p *putCommand) answer(out io.Writer, revision kv.Revision, version int64) error {
	if p.output.value == outputJSON {
		return printJSON(out, struct {
			Revision kv.Revision `json:"revision"`
			Version  int64       `json:"version"`
		}{revision, version})
	}
	_, err := fmt.Fprintf(out, "revision %d, version %d\n", int64(revision), version)
	return err
}

// printJSON prints v on one line.
func printJSON(out io.Writer, v any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}
