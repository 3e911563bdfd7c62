package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// choice is a flag that takes one of a few words.
type choice struct {
	value string
	words []string
}

var _ pflag.Value = (*choice)(nil)

// newChoice is a choice of words, the first of which is the default.
func newChoice(words ...string) *choice { return &choice{value: words[0], words: words} }

// String implements pflag.Value.
func (c *choice) String() string { return c.value }

// Type implements pflag.Value. The help shows it.
func (c *choice) Type() string { return strings.Join(c.words, "|") }

// Set implements pflag.Value.
func (c *choice) Set(word string) error {
	if !slices.Contains(c.words, word) {
		return fmt.Errorf("it must be one of %s", strings.Join(c.words, ", "))
	}
	c.value = word
	return nil
}

// addChoice adds c to the flags of cmd, with shell completion.
func addChoice(cmd *cobra.Command, c *choice, name, shorthand, usage string) {
	cmd.Flags().VarP(c, name, shorthand, usage)
	complete := cobra.FixedCompletions(c.words, cobra.ShellCompDirectiveNoFileComp)
	if err := cmd.RegisterFlagCompletionFunc(name, complete); err != nil {
		panic(err) // the flag was added a line above
	}
}

// The forms of output.
const (
	outputTable = "table"
	outputJSON  = "json"
	outputRaw   = "raw"
)
