package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/miruvor/miruvor/internal/httpclient"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

func newLease() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lease",
		Short: "Grant leases, keep them alive, look at them, revoke them",
		Long: `A lease has a time to live. When it is over, or the lease is revoked, all keys
that were put with it are deleted, at one revision.`,
		Example: `  lease=$(miruvor lease grant 60)
  miruvor put session/ann here --lease $lease
  miruvor lease keep-alive $lease`,
		GroupID: groupClient,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return usagef("unknown command %q, miruvor lease --help lists all", args[0])
		},
	}
	cmd.AddGroup(&cobra.Group{ID: groupClient, Title: "Commands:"})
	cmd.AddCommand(newLeaseGrant(), newLeaseKeepAlive(), newLeaseTTL(), newLeaseRevoke(),
		newLeaseList())
	return cmd
}

// parseLease is the lease that an argument or flag, called name, stands for.
func parseLease(name, text string) (kv.LeaseID, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 {
		return 0, usagef("%s is %q, it must be a positive whole number", name, text)
	}
	return kv.LeaseID(id), nil
}

// noLease makes a lease that is not there a clear "no".
func noLease(id kv.LeaseID, err error) error {
	if errors.Is(err, kv.ErrLeaseNotFound) {
		return nof("there is no lease %d", int64(id))
	}
	return err
}

// leaseCommand is what the commands for leases share.
type leaseCommand struct {
	*remote
	output *choice
}

func (c *leaseCommand) addTo(cmd *cobra.Command, outputs ...string) *cobra.Command {
	c.remote, c.output = addRemote(cmd), newChoice(outputs...)
	addChoice(cmd, c.output, "output", "o", "form of the answer")
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	return cmd
}

// with does a request about the lease that an argument names.
func (c *leaseCommand) with(
	cmd *cobra.Command, arg string,
	request func(context.Context, *httpclient.Client, kv.LeaseID) error,
) error {
	id, err := parseLease("ID", arg)
	if err != nil {
		return err
	}
	return c.do(cmd, func(ctx context.Context, client *httpclient.Client) error {
		return request(ctx, client, id)
	})
}

func newLeaseGrant() *cobra.Command {
	c, id := &leaseCommand{}, ""
	cmd := c.addTo(&cobra.Command{
		Use:     "grant TTL",
		Short:   "Make a lease and print its id",
		Long:    "Make a lease and print its id. TTL is in seconds, or a duration like 5m.",
		Example: "  miruvor lease grant 60\n  miruvor lease grant 5m --id 81",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var req kv.LeaseGrantRequest
			var err error
			if req.TTL, err = parseTTL(args[0]); err != nil {
				return err
			}
			if id != "" {
				if req.ID, err = parseLease("--id", id); err != nil {
					return err
				}
			}
			return c.grant(cmd, req)
		},
	}, outputRaw, outputJSON)
	cmd.Flags().StringVar(&id, "id", "", "the id of the lease, else the cluster chooses one")
	return cmd
}

// parseTTL reads a number of seconds or a duration, which is rounded up.
func parseTTL(text string) (int64, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 {
		return n, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, usagef("TTL is %q, it must be a number of seconds from 1 to %d, "+
			"or a duration like 5m", text, kv.LeaseTTLMax)
	}
	return int64((d-1)/time.Second) + 1, nil
}

func (c *leaseCommand) grant(cmd *cobra.Command, req kv.LeaseGrantRequest) error {
	return c.do(cmd, func(ctx context.Context, client *httpclient.Client) error {
		lease, err := client.LeaseGrant(ctx, req)
		if err != nil {
			return err
		}
		if c.output.value == outputJSON {
			return printJSON(cmd.OutOrStdout(), kvjson.NewLease(lease, false))
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), int64(lease.ID))
		return err
	})
}

func newLeaseRevoke() *cobra.Command {
	c := &leaseCommand{}
	return c.addTo(&cobra.Command{
		Use:   "revoke ID",
		Short: "End a lease and delete its keys",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd, args[0], func(
				ctx context.Context, client *httpclient.Client, id kv.LeaseID,
			) error {
				revision, err := client.LeaseRevoke(ctx, id)
				if err != nil {
					return noLease(id, err)
				}
				return printRevision(cmd, c.output, revision)
			})
		},
	}, outputTable, outputJSON)
}

// printRevision prints what a command came to that has nothing else to say.
func printRevision(cmd *cobra.Command, output *choice, revision kv.Revision) error {
	if output.value == outputJSON {
		return printJSON(cmd.OutOrStdout(), struct {
			Revision kv.Revision `json:"revision"`
		}{revision})
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "revision %d\n", int64(revision))
	return err
}

func newLeaseList() *cobra.Command {
	c := &leaseCommand{}
	return c.addTo(&cobra.Command{
		Use:   "list",
		Short: "Print the ids of all leases",
		Args:  cobra.ExactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.do(cmd, func(ctx context.Context, client *httpclient.Client) error {
				list, err := client.Leases(ctx)
				if err != nil {
					return err
				}
				if c.output.value == outputJSON {
					return printJSON(cmd.OutOrStdout(), kvjson.NewLeases(list))
				}
				for _, id := range list.IDs {
					fmt.Fprintln(cmd.OutOrStdout(), int64(id))
				}
				return nil
			})
		},
	}, outputTable, outputJSON)
}
