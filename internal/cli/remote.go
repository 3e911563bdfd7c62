package cli

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/miruvor/miruvor/internal/httpclient"
)

const (
	endpointDefault = "127.0.0.1:2379"
	endpointsEnv    = "MIRUVOR_ENDPOINTS"
	timeoutDefault  = 10 * time.Second
)

// remote is the cluster that a client command speaks to.
type remote struct {
	endpoints []string
	timeout   time.Duration
}

// addRemote adds the flags that say which cluster.
func addRemote(cmd *cobra.Command) *remote {
	r := &remote{}
	cmd.GroupID = groupClient
	cmd.Flags().StringSliceVar(&r.endpoints, "endpoints", []string{endpointDefault},
		"nodes to ask, host:port or http://host:port; the next\n"+
			"is tried when one does not answer\n["+endpointsEnv+"]")
	cmd.Flags().DurationVar(&r.timeout, "timeout", timeoutDefault,
		"the longest that one request may take")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		given := os.Getenv(endpointsEnv)
		if !cmd.Flags().Changed("endpoints") && given != "" {
			r.endpoints = strings.Split(given, ",")
		}
		return r.check()
	}
	return r
}

func (r *remote) check() error {
	if r.timeout <= 0 {
		return usagef("--timeout is %v, it must be positive", r.timeout)
	}
	for i, endpoint := range r.endpoints {
		r.endpoints[i] = strings.TrimSpace(endpoint)
	}
	client, err := r.open()
	if err != nil {
		return usageError{fmt.Errorf("--endpoints: %w", err)}
	}
	client.Close()
	return nil
}

// open is a client of the cluster; the caller closes it.
func (r *remote) open() (*httpclient.Client, error) {
	return httpclient.New(httpclient.Options{Endpoints: r.endpoints})
}

// do runs one request.
func (r *remote) do(
	cmd *cobra.Command, request func(context.Context, *httpclient.Client) error,
) error {
	client, err := r.open()
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), r.timeout)
	defer cancel()
	return ended(cmd.Context(), request(ctx, client))
}
