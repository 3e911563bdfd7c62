package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/miruvor/miruvor/internal/httpclient"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// The commands about the time that a lease has left.

func newLeaseTTL() *cobra.Command {
	c, withKeys := &leaseCommand{}, false
	var syntax *keySyntax
	cmd := c.addTo(&cobra.Command{
		Use:   "ttl ID",
		Short: "Print how much time a lease has left",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd, args[0], func(
				ctx context.Context, client *httpclient.Client, id kv.LeaseID,
			) error {
				lease, err := client.LeaseTimeToLive(ctx, id, withKeys)
				if err != nil {
					return noLease(id, err)
				}
				if err := c.print(cmd.OutOrStdout(), lease, withKeys); err != nil ||
					c.output.value == outputJSON {
					return err
				}
				for _, key := range lease.Keys {
					fmt.Fprintln(cmd.OutOrStdout(), syntax.show(key))
				}
				return nil
			})
		},
	}, outputTable, outputJSON)
	syntax = addKeySyntax(cmd)
	cmd.Flags().BoolVar(&withKeys, "keys", false, "print the keys that hang on it, a line each")
	return cmd
}

func (c *leaseCommand) print(out io.Writer, lease kv.Lease, withKeys bool) error {
	if c.output.value == outputJSON {
		return printJSON(out, kvjson.NewLease(lease, withKeys))
	}
	_, err := fmt.Fprintf(out, "lease %d, %d of %d s left\n",
		int64(lease.ID), lease.TTL, lease.Granted)
	return err
}

func newLeaseKeepAlive() *cobra.Command {
	c, once := &leaseCommand{}, false
	cmd := c.addTo(&cobra.Command{
		Use:   "keep-alive ID",
		Short: "Begin a lease's time anew, again and again until Ctrl-C",
		Long: `Begin a lease's time anew, again whenever a third of it is over, until Ctrl-C. It
ends with exit code 3 if the lease is gone. What goes wrong otherwise is tried
again until the time must be over.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseLease("ID", args[0])
			if err != nil {
				return err
			}
			if once {
				_, err := c.renew(cmd, id)
				return err
			}
			return c.keepAlive(cmd, id)
		},
	}, outputTable, outputJSON)
	cmd.Flags().BoolVar(&once, "once", false, "do it once")
	return cmd
}

// keepAlive renews a lease until the command is interrupted, or fails for as
// long as the lease lives.
func (c *leaseCommand) keepAlive(cmd *cobra.Command, id kv.LeaseID) error {
	ctx := cmd.Context()
	var granted time.Duration
	var until time.Time
	for {
		asked := time.Now()
		lease, err := c.renew(cmd, id)
		var gone noError
		switch {
		case err == nil:
			granted = time.Duration(lease.Granted) * time.Second
			until = asked.Add(granted)
		case errors.Is(err, errInterrupted):
			return nil // which is how it is meant to end
		case errors.As(err, &gone) || !time.Now().Before(until):
			return err
		default:
			report(cmd.ErrOrStderr(), err)
		}
		select {
		case <-time.After(max(granted/3, time.Second) - time.Since(asked)):
		case <-ctx.Done():
			return nil
		}
	}
}

// renew renews a lease once, and prints it.
func (c *leaseCommand) renew(cmd *cobra.Command, id kv.LeaseID) (lease kv.Lease, err error) {
	err = c.do(cmd, func(ctx context.Context, client *httpclient.Client) error {
		if lease, err = client.LeaseKeepAlive(ctx, id); err != nil {
			return noLease(id, err)
		}
		return c.print(cmd.OutOrStdout(), lease, false)
	})
	return lease, err
}
