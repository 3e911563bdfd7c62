package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

type demoCommand struct {
	nodes, shards          int
	data                   string
	ephemeral              bool
	clientPorts, peerPorts portList
	splitAt                keyList
	compacting             compacting
	logging                logging
}

func newDemo() *cobra.Command {
	d := &demoCommand{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a whole cluster in this process, to look around",
		Long: `Run a whole cluster in this process, on loopback, until Ctrl-C. What you write is
durable: a demo started again with the same flags finds it.

Peers listen on the port after the client port of their node, or a thousand
above it if that is taken by another node of the demo.`,
		GroupID: groupServer,
		Example: `  miruvor demo
  miruvor demo --nodes 5 --ephemeral
  miruvor demo --nodes 4 --client-ports 4001,4002,4003,4004`,
		Args:              cobra.ExactArgs(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              d.run,
	}
	d.addFlags(cmd)
	return cmd
}

func (d *demoCommand) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.IntVar(&d.nodes, "nodes", 3, "nodes of the cluster")
	flags.IntVar(&d.shards, "shards", 4, "shards that the keys are spread over")
	flags.Var(&d.splitAt, "split-at",
		"a,b: the keys that part the shards, percent-encoded,\n"+
			"ascending; else what spreads letters and digits")
	flags.StringVar(&d.data, "data", dataDefault, "data directory, one below it for each node")
	flags.BoolVar(&d.ephemeral, "ephemeral", false, "keep everything in memory")
	flags.Var(&d.clientPorts, "client-ports",
		"a port for each node's clients, else 2379,22379,32379")
	flags.Var(&d.peerPorts, "peer-ports", "a port for each node's peers, else as said above")
	d.compacting.addFlags(cmd)
	d.logging.addFlags(cmd, "warn")
}

func (d *demoCommand) run(cmd *cobra.Command, _ []string) error {
	if err := d.complete(cmd); err != nil {
		return usageError{err}
	}
	screen := newScreen(cmd.ErrOrStderr())
	configs := d.configs(d.logging.logger(screen))
	if !cmd.Flags().Changed("log-level") {
		// Nodes that come and go together miss each other, and say so.
		d.logging.least.Set(slog.LevelError)
	}
	spareCPU()
	cluster, err := startDemo(configs)
	if err != nil {
		return err
	}
	err = cluster.waitReady(cmd.Context(), screen)
	if err == nil {
		d.logging.least.Set(d.logging.chosen())
		fmt.Fprint(cmd.OutOrStdout(), d.banner(configs))
		err = cluster.watch(cmd.Context(), screen)
	}
	if errors.Is(err, errInterrupted) {
		err = nil
	}
	screen.end()
	d.logging.least.Set(slog.LevelError)
	fmt.Fprintln(screen, "miruvor: stopping")
	if err = errors.Join(err, cluster.stop()); err == nil {
		fmt.Fprintln(screen, "miruvor: stopped, "+d.farewell())
	}
	return err
}

func (d *demoCommand) farewell() string {
	if d.ephemeral {
		return "and nothing is kept"
	}
	return "the data is in " + d.data
}

// The bounds of a demo.
const (
	demoNodesMax  = 7
	demoShardsMax = 64
)

// complete fills in what the flags leave open and returns all that is wrong.
func (d *demoCommand) complete(cmd *cobra.Command) error {
	var problems []error
	bad := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf(format, args...))
	}
	given := cmd.Flags().Changed
	if given("client-ports") && !given("nodes") {
		d.nodes = len(d.clientPorts)
	}
	if given("split-at") && !given("shards") {
		d.shards = len(d.splitAt) + 1
	}
	if d.nodes < 1 || d.nodes > demoNodesMax {
		bad("--nodes is %d, it must be from 1 to %d", d.nodes, demoNodesMax)
	}
	if d.shards < 1 || d.shards > demoShardsMax {
		bad("--shards is %d, it must be from 1 to %d", d.shards, demoShardsMax)
	}
	if _, err := d.compacting.auto(); err != nil {
		problems = append(problems, err)
	}
	if d.ephemeral && given("data") {
		bad("--ephemeral and --data exclude each other")
	}
	if len(problems) == 0 {
		problems = d.completePorts()
	}
	if len(problems) == 0 && !d.ephemeral {
		problems = d.checkNodesOfData()
	}
	if !given("split-at") && d.shards >= 1 {
		d.splitAt = spreadSplits(d.shards)
	}
	return errors.Join(problems...)
}

// banner says where the nodes are and what to try.
func (d *demoCommand) banner(configs []instanceConfig) string {
	var b strings.Builder
	where := "data in " + d.data
	if d.ephemeral {
		where = "all in memory"
	}
	fmt.Fprintf(&b, "Miruvor %s, a demo: %d nodes, %d shards, %s\n\n",
		version(), d.nodes, d.shards, where)
	for _, c := range configs {
		fmt.Fprintf(&b, "  %s  clients http://%s  peers %s\n", c.node.Name, c.listen, c.node.Listen)
	}
	first, last := configs[0].listen, configs[len(configs)-1].listen
	command, endpoints := commandName(), ""
	if first != endpointDefault {
		endpoints = " --endpoints " + first
	}
	fmt.Fprintf(&b, "\nFive things to try in another terminal:\n\n"+
		"  curl -X PUT -d world http://%s/v1/kv/hello; curl http://%s/v1/kv/hello\n"+
		"  curl 'http://%s/v1/kv?prefix=h'\n"+
		"  %s watch%s\n"+
		"  %s status%s\n"+
		"  %s bench%s\n\nCtrl-C stops it.\n\n",
		first, last, first, command, endpoints, command, endpoints, command, endpoints)
	return b.String()
}

// commandName is how to run this program again.
func commandName() string {
	path, err := os.Executable()
	if err == nil && strings.Contains(path, string(filepath.Separator)+"go-build") {
		return "go run ."
	}
	return os.Args[0]
}
