package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
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
}

func newStart() *cobra.Command {
	s := &startCommand{}
	cmd := &cobra.Command{
		Use:     "start",
		Short:   "Start a node, alone or as a member of a cluster",
		Long:    startText,
		GroupID: groupServer,
		Example: `  miruvor start
  miruvor start --name n1 --data /var/lib/miruvor --client 10.0.0.1:2379 --peer 10.0.0.1:2380 \
    --initial-cluster n1=10.0.0.1:2380,n2=10.0.0.2:2380,n3=10.0.0.3:2380`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              s.run,
	}
	s.options = addStartFlags(cmd)
	cmd.Flags().String("config", "", "YAML file of settings")
	s.settings = newSettings(cmd.Flags(), "config")
	return cmd
}

func (s *startCommand) run(cmd *cobra.Command, _ []string) error {
	err := s.settings.load(os.Getenv)
	config, err2 := s.options.config()
	if err := errors.Join(err, err2); err != nil {
		return usageError{err}
	}
	errs := cmd.ErrOrStderr()
	config.node.Logger = s.options.logging.logger(errs).With("node", config.node.Name)
	listener, err := listenFor("client", config.listen)
	if err != nil {
		return err
	}
	i, err := startInstance(config, listener)
	if err != nil {
		return err
	}
	err = i.waitReady(cmd.Context(), func(waiting string) { s.say(errs, "waiting for "+waiting) })
	if err == nil {
		s.say(errs, readyText(&config))
		err = i.wait(cmd.Context())
	}
	if errors.Is(err, errInterrupted) {
		err = nil
	}
	s.say(errs, "stopping")
	if err = errors.Join(err, i.stop(handoverMax)); err == nil {
		s.say(errs, "stopped")
	}
	return err
}

func readyText(c *instanceConfig) string {
	return fmt.Sprintf("%s is ready: clients at http://%s, peers at %s, data in %s",
		c.node.Name, c.node.AdvertiseClient, c.node.AdvertisePeer, c.node.Dir)
}

// say tells what goes on, in a line that fits the log.
func (s *startCommand) say(w io.Writer, text string) {
	if s.options.logging.format.value == "json" {
		s.options.logging.logger(w).Info(text)
		return
	}
	fmt.Fprintln(w, "miruvor:", text)
}
