package cli

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/miruvor/miruvor/internal/worker"
)

// compacting is when the cluster compacts itself.
type compacting struct {
	mode      *choice
	retention string
}

func (c *compacting) addFlags(cmd *cobra.Command) {
	c.mode = newChoice("periodic", "revision")
	addChoice(cmd, c.mode, "auto-compaction-mode", "",
		"the past is forgotten by age, or by number of revisions")
	cmd.Flags().StringVar(&c.retention, "auto-compaction-retention", "0",
		"how much of it is kept: an age (30m; a bare number is\n"+
			"hours) or a number of revisions; 0 is all of it")
}

// auto is what the flags say.
func (c *compacting) auto() (worker.AutoCompaction, error) {
	number, err := strconv.ParseInt(c.retention, 10, 64)
	if c.mode.value == "revision" {
		if err != nil || number < 0 {
			return worker.AutoCompaction{}, fmt.Errorf(
				"--auto-compaction-retention is %q, it must be a number of revisions", c.retention)
		}
		return worker.AutoCompaction{Revisions: number}, nil
	}
	age := time.Duration(min(max(number, -1), hoursMax)) * time.Hour
	if err != nil {
		if age, err = time.ParseDuration(c.retention); err != nil {
			return worker.AutoCompaction{}, fmt.Errorf("--auto-compaction-retention is %q, "+
				"it must be an age like 30m, or a number of hours", c.retention)
		}
	}
	return worker.AutoCompaction{Retention: age}, nil
}

// hoursMax is more than any age that is taken.
const hoursMax = 1 << 20
