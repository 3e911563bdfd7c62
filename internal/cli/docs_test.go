package cli

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestTheManualHasEverySetting holds the table of docs/operations.md against
// the flags, in both directions.
func TestTheManualHasEverySetting(t *testing.T) {
	manual, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(manual), "\n| setting | default | |\n")
	table, _, _ := strings.Cut(rest, "\n\n")
	rows := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (.*?) \\|").
		FindAllStringSubmatch(table, -1) {
		rows[row[1]] = strings.Trim(row[2], "`")
	}
	start, _, err := newRoot(nil).Find([]string{"start"})
	if err != nil {
		t.Fatal(err)
	}
	start.Flags().VisitAll(func(f *pflag.Flag) {
		row, ok := rows[f.Name]
		if !ok {
			t.Errorf("the manual does not tell of --%s", f.Name)
		}
		if f.DefValue != "" && row != f.DefValue {
			t.Errorf("the manual says that --%s is %s, it is %s", f.Name, row, f.DefValue)
		}
		delete(rows, f.Name)
	})
	for name := range rows {
		t.Errorf("the manual tells of --%s, which there is not", name)
	}
}

// TestTheManualHasEveryCommand looks for "miruvor COMMAND" in README.md and the
// manual, and that there is such a command.
func TestTheManualHasEveryCommand(t *testing.T) {
	var text strings.Builder
	for _, path := range []string{"../../README.md", "../../docs/operations.md"} {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(page)
	}
	root := newRoot(nil)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	told := regexp.MustCompile("(?m)(?:\\./|^|`)miruvor ([a-z]+)").
		FindAllStringSubmatch(text.String(), -1)
	if len(told) < 10 {
		t.Fatalf("only %d commands are told of", len(told))
	}
	for _, match := range told {
		name := match[1]
		if cmd, _, err := root.Find([]string{name}); err != nil || cmd == root {
			t.Errorf("the manual tells of miruvor %s, which there is not", name)
		}
	}
	for _, cmd := range root.Commands() {
		if !isTold(cmd, told) {
			t.Errorf("nothing tells of miruvor %s", cmd.Name())
		}
	}
}

func isTold(cmd *cobra.Command, told [][]string) bool {
	for _, match := range told {
		if match[1] == cmd.Name() {
			return true
		}
	}
	return false
}
