package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/worker"
)

func TestAutoCompactionSettings(t *testing.T) {
	for _, c := range []struct {
		mode, retention string
		want            worker.AutoCompaction
		problem         string
	}{
		{"periodic", "0", worker.AutoCompaction{}, ""},
		{"periodic", "2", worker.AutoCompaction{Retention: 2 * time.Hour}, ""},
		{"periodic", "30m", worker.AutoCompaction{Retention: 30 * time.Minute}, ""},
		{"periodic", "0s", worker.AutoCompaction{}, ""},
		{"revision", "0", worker.AutoCompaction{}, ""},
		{"revision", "1000", worker.AutoCompaction{Revisions: 1000}, ""},
		{"periodic", "10ms", worker.AutoCompaction{}, "10ms is outside 1s to 8784h0m0s"},
		{"periodic", "-1", worker.AutoCompaction{}, "-1h0m0s is outside 1s to 8784h0m0s"},
		{"periodic", "99999999999", worker.AutoCompaction{}, "is outside 1s to 8784h0m0s"},
		{"periodic", "long", worker.AutoCompaction{}, `"long", it must be an age like 30m`},
		{"revision", "1h", worker.AutoCompaction{}, `"1h", it must be a number of revisions`},
		{"revision", "-5", worker.AutoCompaction{}, `"-5", it must be a number of revisions`},
		{"revision", "9999999999999999", worker.AutoCompaction{}, "revisions are outside 0 to"},
	} {
		config, problems := load(t, []string{
			"--auto-compaction-mode", c.mode, "--auto-compaction-retention", c.retention,
		}, nil, "")
		if c.problem != "" {
			if !strings.Contains(problems, "auto-compaction-retention") ||
				!strings.Contains(problems, c.problem) {
				t.Errorf("%s %s: the problem is %q, want %q", c.mode, c.retention, problems,
					c.problem)
			}
			continue
		}
		if got := config.node.AutoCompaction; problems != "" || got != c.want {
			t.Errorf("%s %s: %+v, want %+v; %s", c.mode, c.retention, got, c.want, problems)
		}
	}
}
