package etcd

import (
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// storySplits part the keys of the stories into eight shards.
var storySplits = []string{"b", "d", "k", "m", "p", "t", "x"}

// stories are the directories of stories, and the etcd that told them.
var stories = []struct {
	dir  string
	etcd shape
	on   []shape
}{
	{"one", shape{nodes: 1}, []shape{
		{name: "1node1shard", nodes: 1},
		{name: "3nodes8shards", nodes: 3, splitAt: storySplits},
	}},
	{"three", shape{nodes: 3}, []shape{
		{name: "3nodes8shards", nodes: 3, splitAt: storySplits},
	}},
}

// longStory writes so much that it is not told with -short.
const longStory = "scale"

// TestCtl lets etcd and Miruvor tell the same stories. A story has a cluster
// of its own, so that its revisions are always the same:
//
//	ctl             runs commands, one a line
//	input           runs the command of the first line; the others are its input
//	start NAME      starts a command, which goes on
//	write NAME      types into it
//	read NAME N     waits for N lines of it
//	end NAME        interrupts it
//
// With -rewrite the answers are written anew, which are those of etcd.
func TestCtl(t *testing.T) {
	if len(clusters[0].processes) == 0 {
		t.Skip("stories need clusters of their own")
	}
	for _, s := range stories {
		paths, err := filepath.Glob(filepath.Join("testdata", "etcdctl", s.dir, "*.txt"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("no stories in %s: %v", s.dir, err)
		}
		for _, path := range paths {
			name := strings.TrimSuffix(filepath.Base(path), ".txt")
			if name == longStory && testing.Short() {
				continue
			}
			t.Run(name, func(t *testing.T) {
				t.Run("etcd", func(t *testing.T) { tell(t, path, etcd{}, s.etcd) })
				if flag.Lookup("rewrite").Value.String() == "true" {
					return
				}
				for _, on := range s.on {
					t.Run(on.name, func(t *testing.T) { tell(t, path, miruvor{}, on) })
				}
			})
		}
	}
}

// tell runs a story on a new cluster.
func tell(t *testing.T, path string, s system, on shape) {
	t.Parallel()
	story := strings.TrimSuffix(filepath.Base(path), ".txt")
	c := &cluster{shape: on}
	if err := c.start(s, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	defer c.stop()
	teller := &ctl{endpoints: c.endpoints, dir: t.TempDir()}
	defer func() {
		for name := range teller.running {
			teller.end(t, name)
		}
	}()
	_, ours := s.(miruvor)
	datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
		out := teller.do(t, d)
		if meant := differenceOf(story, d.Input); ours && meant != nil {
			if out == meant.Answer {
				return d.Expected
			}
			t.Errorf("%s: meant to be\n%sis\n%s", d.Input, meant.Answer, out)
		}
		return out
	})
}

// do is one step of a story.
func (c *ctl) do(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	var name string
	if len(d.CmdArgs) > 0 {
		name = d.CmdArgs[0].Key
	}
	switch d.Cmd {
	case "ctl":
		return c.all(t, strings.Split(d.Input, "\n"))
	case "input":
		line, stdin, _ := strings.Cut(d.Input, "\n")
		// The input's end is a line of its own, as the parts of a transaction are.
		return c.run(t, line, stdin+"\n\n\n\n")
	case "start":
		c.start(t, name, d.Input)
	case "write":
		c.write(t, name, d.Input+"\n")
	case "read":
		var lines int
		d.ScanArgs(t, "lines", &lines)
		return c.read(t, name, lines)
	case "end":
		return c.end(t, name)
	default:
		d.Fatalf(t, "unknown step %s", d.Cmd)
	}
	return ""
}

// all runs commands; if they are several, each is said before its answer.
func (c *ctl) all(t *testing.T, lines []string) string {
	t.Helper()
	var out strings.Builder
	for _, line := range lines {
		if len(lines) > 1 {
			fmt.Fprintf(&out, "$ %s\n", line)
		}
		out.WriteString(c.run(t, line, ""))
	}
	return out.String()
}
