package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/node"
)

const startText = `Start a node. Alone it is a durable cluster of one; with --initial-cluster it is
a member of a larger one, which begins once all its members have started.

Each flag is also an environment variable, named in brackets, and a line of the
YAML file that --config names, under the name of the flag: "peer: 10.0.0.1:2380".
Lists may be YAML lists there. A flag wins over the environment, and the
environment over the file. Empty variables count as not set.

It listens on loopback unless told otherwise: there is no authentication yet.

SIGTERM and SIGINT end requests under way, hand leaderships to other nodes and
stop; a second one stops at once, which loses nothing that was answered.`

type startCommand struct {
	options  *startOptions
	settings *settings
	// prepare is nil but in processes of tests.
	prepare func(*node.Config)
}

func newStart(prepare func(*node.Config)) *cobra.Command {
	s := &startCommand{prepare: prepare}
	cmd := &cobra.Command{
		Use:     "start",
		Short:   "Start a node, alone or as a member of a cluster",
		Long:    startText,
		GroupID: groupServer,
		Example: `  miruvor start
  miruvor start --name n1 --data /var/lib/miruvor --client 10.0.0.1:2379 --peer 10.0.0.1:2380 \
    --initial-cluster n1=10.0.0.1:2380,n2=10.0.0.2:2380,n3=10.0.0.3:2380`,
		Args:              cobra.ExactArgs(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              s.run,
	}
	cmd.SetFlagErrorFunc(explainFlag)
	s.options = addStartFlags(cmd)
	cmd.Flags().String("config", "", "YAML file of settings")
	s.settings = newSettings(cmd.Flags(), "config")
	return cmd
}

func (s *startCommand) run(cmd *cobra.Command, _ []string) error {
	err := s.settings.load(os.Getenv)
	config, err2 := s.options.config()
	if err == nil {
		err = s.options.zeros()
	}
	if err := errors.Join(err, err2, refuseToForget(&config.node)); err != nil {
		return usageError{err}
	}
	logger := s.options.logging.logger(cmd.ErrOrStderr()).With("node", config.node.Name)
	config.node.Logger = logger
	if s.prepare != nil {
		s.prepare(&config.node)
	}
	listener, err := listenFor("client", config.listen)
	if err != nil {
		return err
	}
	spareCPU()
	i, err := startInstance(config, listener)
	if err != nil {
		return adviseRebuild(err, config.node.Dir)
	}
	say := s.announcer(cmd.ErrOrStderr(), logger)
	err = i.waitReady(cmd.Context(), func(waiting string) { say("waiting", waiting) })
	if err == nil {
		say("ready", whereabouts(&config))
		err = i.wait(cmd.Context())
	}
	if errors.Is(err, errInterrupted) {
		err = nil
	}
	say("stopping", "")
	if err = errors.Join(err, i.stop(handoverMax)); err == nil {
		say("stopped", "")
	}
	return adviseRebuild(err, config.node.Dir)
}

// adviseRebuild says what to do about damage.
func adviseRebuild(err error, dir string) error {
	if !errors.Is(err, kv.ErrCorrupt) {
		return err
	}
	return fmt.Errorf("%w; miruvor check %s lists all that is damaged, and "+
		"miruvor rebuild %[2]s has this node get its data from the others, if there are any",
		err, dir)
}

// refuseToForget keeps a node whose data is on disk from starting without it.
func refuseToForget(c *node.Config) error {
	if c.Durability != node.DurabilityMemory {
		return nil
	}
	if _, err := os.Stat(filepath.Join(c.Dir, "node.json")); err != nil {
		return nil
	}
	return fmt.Errorf("--durability is memory, but %s holds the data of a node, "+
		"which would not be read: give another --data or another --durability", c.Dir)
}

func whereabouts(c *instanceConfig) string {
	data := "in " + c.node.Dir
	if c.node.Durability == node.DurabilityMemory {
		data = "in memory only"
	}
	return fmt.Sprintf("clients at http://%s, peers at %s, data %s",
		c.node.AdvertiseClient, c.node.AdvertisePeer, data)
}

// announcer tells people what the node does, in a line of the log's form.
func (s *startCommand) announcer(w io.Writer, logger *slog.Logger) func(what, detail string) {
	if s.options.logging.format.value == "json" {
		return func(what, detail string) { logger.Info(what, "detail", detail) }
	}
	return func(what, detail string) {
		if detail != "" {
			what += ": " + detail
		}
		fmt.Fprintf(w, "miruvor: %s is %s\n", s.options.name, what)
	}
}
