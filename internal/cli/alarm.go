package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/miruvor/miruvor/internal/httpclient"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

func newAlarm() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "alarm",
		Short: "List alarms, and disarm them",
		Long: `A node raises an alarm that somebody has to look into. While one has no space left,
the cluster refuses puts and leases; deletes and compactions, which make space, go
on. An alarm stays until it is disarmed; a node that still has no space raises it
again.`,
		Example: "  miruvor alarm list\n  miruvor alarm disarm",
		GroupID: groupClient,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return usagef("unknown command %q, miruvor alarm --help lists all", args[0])
		},
	}
	cmd.AddGroup(&cobra.Group{ID: groupClient, Title: "Commands:"})
	cmd.AddCommand(newAlarmList(), newAlarmDisarm())
	return cmd
}

// alarmCommand is what the commands for alarms share.
type alarmCommand struct {
	*remote
	output *choice
}

func (c *alarmCommand) addTo(cmd *cobra.Command) *cobra.Command {
	c.remote, c.output = addRemote(cmd), newChoice(outputTable, outputJSON)
	addChoice(cmd, c.output, "output", "o", "form of the answer")
	cmd.Args, cmd.ValidArgsFunction = cobra.ExactArgs(0), cobra.NoFileCompletions
	return cmd
}

func newAlarmList() *cobra.Command {
	c := &alarmCommand{}
	return c.addTo(&cobra.Command{
		Use:   "list",
		Short: "List the alarms of the cluster",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.show(cmd, (*httpclient.Client).Alarms)
		},
	})
}

func newAlarmDisarm() *cobra.Command {
	c, node := &alarmCommand{}, uint64(0)
	cmd := c.addTo(&cobra.Command{
		Use:   "disarm",
		Short: "Clear the alarms of the cluster, and print which there were",
		RunE: func(cmd *cobra.Command, _ []string) error {
			of := kv.Alarm{Node: kv.NodeID(node)}
			return c.show(cmd, func(
				client *httpclient.Client, ctx context.Context,
			) ([]kv.Alarm, error) {
				return client.ClearAlarms(ctx, of)
			})
		},
	})
	cmd.Flags().Uint64Var(&node, "node", 0, "only the alarms of the node with this id")
	return cmd
}

// show prints the alarms that are got, a line each.
func (c *alarmCommand) show(
	cmd *cobra.Command, get func(*httpclient.Client, context.Context) ([]kv.Alarm, error),
) error {
	return c.do(cmd, func(ctx context.Context, client *httpclient.Client) error {
		alarms, err := get(client, ctx)
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		if c.output.value == outputJSON {
			return printJSON(out, kvjson.NewAlarms(alarms))
		}
		for _, a := range alarms {
			fmt.Fprintf(out, "node %d: %v\n", uint64(a.Node), a.Kind)
		}
		return nil
	})
}
