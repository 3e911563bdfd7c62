package etcd

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/grpclog"
)

// endpointsVariable names the endpoints of a cluster to test instead of those
// that the tests start.
const endpointsVariable = "MIRUVOR_TEST_ENDPOINTS"

// testsAtOnce is how many tests run at the same time. They wait more than they
// work.
const testsAtOnce = "8"

// programs are the paths of what the tests run.
var programs struct{ miruvor, etcd, etcdctl string }

// shape is what a cluster is made of.
type shape struct {
	name    string
	nodes   int
	splitAt []string
}

// shapes are the clusters that everything but etcdctl's stories runs on. The
// splits of the second part what a test keeps together.
var shapes = []shape{
	{name: "1node1shard", nodes: 1},
	{name: "3nodes8shards", nodes: 3, splitAt: []string{
		"bank/2", "bank/4", "kv/5", "log/4", "log/7", "m", "service/members/b",
	}},
}

// clusters are those that are shared by the tests.
var clusters []*cluster

func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", testsAtOnce); err != nil {
		panic(err)
	}
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, os.Stderr))
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if external := os.Getenv(endpointsVariable); external != "" {
		c := &cluster{shape: shape{name: "external"}, endpoints: strings.Split(external, ",")}
		clusters = append(clusters, c)
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "miruvor-clients-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for _, s := range shapes {
		c := &cluster{shape: s}
		clusters = append(clusters, c)
		defer c.stop()
		c.startErr = c.start(miruvor{}, filepath.Join(dir, s.name))
	}
	return m.Run()
}

// build makes the programs: Miruvor of the module that this one lies in, etcd
// of the module that measures Miruvor beside it, etcdctl of what this one pins.
func build(dir string) error {
	repository := filepath.Join("..", "..")
	for _, p := range []struct {
		variable, module, source string
		path                     *string
	}{
		{"MIRUVOR", repository, "github.com/miruvor/miruvor", &programs.miruvor},
		{"ETCD", filepath.Join(repository, "bench"), "./etcdserver", &programs.etcd},
		{"ETCDCTL", ".", "go.etcd.io/etcd/etcdctl/v3", &programs.etcdctl},
	} {
		if *p.path = os.Getenv(p.variable); *p.path != "" {
			continue
		}
		*p.path = filepath.Join(dir, strings.ToLower(p.variable))
		cmd := exec.Command("go", "build", "-o", *p.path, p.source)
		cmd.Dir = p.module
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", p.source, err, out)
		}
	}
	return nil
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
