package kubernetes

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	// endpointsVariable names the endpoints of a cluster to test instead of
	// those that the tests start.
	endpointsVariable = "MIRUVOR_TEST_ENDPOINTS"
	// programVariable names the program to test instead of one that is built.
	programVariable = "MIRUVOR"
)

// shape is what a cluster is made of.
type shape struct {
	name    string
	nodes   int
	splitAt []string
}

// shapes are the clusters that everything runs on. The splits of the second lie
// between the keys that the tests write, so that their lists, watches and
// transactions meet several shards.
var shapes = []shape{
	{name: "1node1shard", nodes: 1},
	{name: "3nodes8shards", nodes: 3, splitAt: []string{
		prefix + "a", prefix + "first/c", prefix + "ns2", prefix + "second/c",
		prefix + "test-ns/a", prefix + "test-ns/g", "compact",
	}},
}

// clusters are those under test: started when a test first needs them, and
// stopped by TestMain.
var clusters []*cluster

// testsAtOnce is how many tests run at the same time. They wait more than they
// work, some for objects that live for a second: none may wait for its turn.
const testsAtOnce = "64"

func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", testsAtOnce); err != nil {
		panic(err)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if external := os.Getenv(endpointsVariable); external != "" {
		c := &cluster{shape: shape{name: "external"}, endpoints: strings.Split(external, ",")}
		clusters = append(clusters, c)
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "miruvor-kubernetes-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program, err := build(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for _, s := range shapes {
		c := &cluster{shape: s}
		clusters = append(clusters, c)
		defer c.stop()
		c.startErr = c.start(program, filepath.Join(dir, s.name))
	}
	return m.Run()
}

// build makes the miruvor program of the module that this one lies in.
func build(dir string) (string, error) {
	if program := os.Getenv(programVariable); program != "" {
		return program, nil
	}
	program := filepath.Join(dir, "miruvor")
	cmd := exec.Command("go", "build", "-o", program, "github.com/miruvor/miruvor")
	cmd.Dir = filepath.Join("..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build miruvor: %w\n%s", err, out)
	}
	return program, nil
}

// onEach runs a test on every cluster.
func onEach(t *testing.T, test func(t *testing.T, c *cluster)) {
	for _, c := range clusters {
		t.Run(c.name, func(t *testing.T) {
			if c.startErr != nil {
				t.Fatal(c.startErr)
			}
			test(t, c)
		})
	}
}
