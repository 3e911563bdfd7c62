// Package cli is the miruvor command: what people type, and the wiring of a
// process.
//
// It owns flags, environment variables and the configuration file, texts,
// exit codes, signals, and the order in which a process starts and stops its
// parts. It holds no rule about data: client commands speak kv.Store over
// HTTP, servers start nodes and put the APIs over them.
//
//		put get del scan txn watch lease compact status bench backup import
//		      └──> httpclient, bench, backup, etcdimport ──> a node's client port
//		start ──> config (flag > environment > file) ──> instance: node + door
//		demo ───────────────────────────────────────────> several instances
//		door ──> portmux ──> grpcserver(etcdapi), http.Server(gateway, httpapi)
//		check ──> node.Check, backup.Read
//		rebuild ──> httpclient, node.SetAside
//		restore ──> node.Restore
//
//	 1. What is wrong with a command line is said before anything is touched,
//	    all of it at once, naming the flag and the bound.
//	 2. Standard output carries answers only; all else goes to standard error,
//	    a line a problem, as "miruvor: …".
//	 3. The exit code says what happened (see exit.go).
package cli

import (
	"context"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/grpclog"

	"github.com/miruvor/miruvor/internal/node"
)

// Main runs the command of the process and returns its exit code.
func Main() int { return MainWith(nil) }

// MainWith is Main for processes of tests: a node that it starts has its
// configuration changed by prepare first, if that is not nil.
func MainWith(prepare func(*node.Config)) int {
	// What gRPC's packages have to say by themselves is about single clients.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	ctx, stop := untilSignal(context.Background())
	defer stop()
	return runRoot(ctx, newRoot(prepare), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}

// heapGrowth is how much the heap of a server may grow, in percent, before garbage
// is collected, if GOGC does not say otherwise: its live part is small, and
// collecting it often costs more than the memory is worth.
const heapGrowth = 300

// spareCPU sets the pace of the garbage collector of a server.
func spareCPU() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
}

// run runs one command and returns its exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	return runRoot(ctx, newRoot(nil), args, in, out, errs)
}

func runRoot(
	ctx context.Context, root *cobra.Command, args []string, in io.Reader, out, errs io.Writer,
) int {
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	report(errs, err)
	return exitCode(err)
}

const rootText = `Miruvor is a distributed, sharded, strictly serializable key-value store.

To look around:     miruvor demo        three nodes in this process
For real use:       miruvor start       one node, alone or of a larger cluster
From a terminal:    miruvor put, get, del, scan, txn, watch, lease, status`

const exitText = `Exit codes: 0 done, 1 an error, 2 wrong usage, 3 no such key or lease, or a
condition that does not hold, 130 interrupted.`

func newRoot(prepare func(*node.Config)) *cobra.Command {
	root := &cobra.Command{
		Use:           "miruvor",
		Short:         "A distributed, sharded, strictly serializable key-value store",
		Long:          rootText + "\n\n" + exitText,
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownCommand(cmd, args[0])
		},
	}
	root.AddGroup(
		&cobra.Group{ID: groupServer, Title: "Servers:"},
		&cobra.Group{ID: groupClient, Title: "Clients:"},
	)
	root.AddCommand(newDemo(), newStart(prepare), newCheck(), newRebuild(),
		newRestore())
	root.AddCommand(newPut(), newGet(), newDel(), newScan(), newTxn(), newWatch(), newLease(),
		newCompact(), newStatus(), newAlarm(), newBench(), newBackup(), newImport(),
		newVersion())
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	refuseUsage(root)
	return root
}

// The groups of commands in the help.
const (
	groupServer = "server"
	groupClient = "client"
)

func unknownCommand(cmd *cobra.Command, name string) error {
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(name); len(near) > 0 {
		return usagef("unknown command %q, is it %s? miruvor help lists all",
			name, strings.Join(near, " or "))
	}
	return usagef("unknown command %q, miruvor help lists all", name)
}

// refuseUsage makes the wrong number of arguments a usage error everywhere.
func refuseUsage(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usagef("%s: %v; the usage is: %s", cmd.Name(), err, cmd.UseLine())
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		refuseUsage(sub)
	}
}
