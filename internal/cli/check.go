package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/miruvor/miruvor/internal/node"
)

type checkCommand struct {
	output *choice
}

func newCheck() *cobra.Command {
	c := &checkCommand{output: newChoice(outputTable, outputJSON)}
	cmd := &cobra.Command{
		Use:   "check DIR | FILE",
		Short: "Verify the data directory of a stopped node, or a backup",
		Long: `Verify the data directory of a stopped node: the checksums of its log and of its
engine, and all that has to be true of what they hold. It changes nothing, lists
what is wrong and where, and exits with 1 if anything is. Of a backup it verifies
all bytes and tells what is in it.`,
		Example: `  miruvor check miruvor-data/n1
  miruvor check miruvor-monday.backup`,
		GroupID: groupServer,
		Args:    cobra.ExactArgs(1),
		ValidArgsFunction: func(
			*cobra.Command, []string, string,
		) ([]cobra.Completion, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: c.run,
	}
	addChoice(cmd, c.output, "output", "o", "form of the answer")
	return cmd
}

// problemJSON is a problem for programs.
type problemJSON struct {
	Where string `json:"where"`
	What  string `json:"what"`
}

func (c *checkCommand) run(cmd *cobra.Command, args []string) error {
	if isBackup(args[0]) {
		return checkBackup(cmd, c.output, args[0])
	}
	report, end := meterOfBytes(cmd.ErrOrStderr())
	found, err := node.Check(args[0], report)
	end()
	if err != nil {
		return err
	}
	list := []problemJSON{}
	for _, problem := range found {
		list = append(list, problemJSON(problem))
	}
	if err := c.print(cmd, args[0], list); err != nil {
		return err
	}
	switch len(list) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("%s has a problem", args[0])
	}
	return fmt.Errorf("%s has %d problems", args[0], len(list))
}

func (c *checkCommand) print(cmd *cobra.Command, dir string, list []problemJSON) error {
	out := cmd.OutOrStdout()
	if c.output.value == outputJSON {
		return printJSON(out, struct {
			Dir      string        `json:"dir"`
			Problems []problemJSON `json:"problems"`
		}{dir, list})
	}
	for _, problem := range list {
		fmt.Fprintf(out, "%s: %s\n", problem.Where, problem.What)
	}
	if len(list) > 0 {
		return nil
	}
	_, err := fmt.Fprintf(out, "%s is sound\n", dir)
	return err
}
