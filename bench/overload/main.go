// Command overload shows what three nodes make of more load than they can take.
//
//	cd bench && go run ./overload -out /tmp/overload
//
// The nodes run as processes of their own on loopback. First a closed loop finds out how much they
// can take; then requests come at rates from a quarter to ten times of that, whatever the answers
// (an open loop: load.Flood). At each rate it notes
//
//	served, refused, late   answers; refusals in etcd's words; calls without an answer in time
//	p50, p99                latency of what was served, from the moment at which a call began
//	lag                     how long after they were due calls began: how late the load itself was
//	memory                  the most that a node held (resident)
//	elections               how often a shard got another leader, or the same in another term
//	leases lost             of those that clients keep alive meanwhile, over connections of their own
//	recovery                after the flood, until three puts in a row, to each node, take as long
//	                        as they do on a quiet cluster, or 50 ms
//
// The load is made on the machine that is measured, with a lower priority than the nodes, and takes
// a part of its processors: the more, the higher the rate. So what is served falls somewhat, whatever
// the nodes do, and a lag of the load is in the latencies too, since it hears late of answers.
package main

import (
	"context"
	"errors"
	"os"

	"github.com/miruvor/miruvor/bench/command"
)

func main() { command.Main("overload", overload) }

func overload(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	r, err := newRig(o)
	if err != nil {
		return err
	}
	report, err := r.run(ctx)
	if err = errors.Join(err, r.close()); err != nil {
		return err
	}
	return report.write(o.out, os.Stdout)
}
