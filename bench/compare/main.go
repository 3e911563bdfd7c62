// Command compare measures Miruvor beside etcd: three nodes each, as processes of their own on
// loopback, with the same requests from the same client, in turns.
//
//	cd bench && go run ./compare --out /tmp/compare
//
// Both clusters run all the time, and write to disk what they answer (fsync); one is under load at
// a time. A slice is a workload on one system: a warm-up, then a window that counts. Slices of the
// two systems alternate, so that whatever else happens on the machine meets both, and figures are
// medians over rounds. What the report says of a slice:
//
//	per second     answers in the window (deliveries to watchers, on the row watch)
//	p50, p99       as the client saw it
//	server CPU     user and system time of the loaded system's processes in the window, per answer
//	other CPUs     processors that neither they nor the load kept busy: noise, if much over 0
package main

import (
	"context"
	"errors"

	"github.com/miruvor/miruvor/bench/command"
)

func main() { command.Main("compare", compare) }

func compare(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	b, err := newBench(o)
	if err != nil {
		return err
	}
	err = b.run(ctx)
	return errors.Join(err, b.close())
}
