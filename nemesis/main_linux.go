package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/miruvor/miruvor/internal/netlab"
)

// The exit codes.
const (
	exitBad        = 1
	exitUsage      = 2
	exitNotAllowed = 77
)

func main() {
	if os.Getenv(nodeVariable) != "" {
		os.Exit(nodeMain())
	}
	os.Exit(run())
}

func run() int {
	var c clusterConfig
	flag.IntVar(&c.nodes, "nodes", 3, "how many nodes, 3 to 9")
	flag.Uint64Var(&c.seed, "seed", 1, "what the schedule is drawn from")
	flag.StringVar(&c.dir, "out", "", "directory for data, logs, history and report")
	flag.Parse()
	inside, code, err := netlab.Isolated()
	if err != nil {
		fmt.Fprintln(os.Stderr, "nemesis:", err)
		if errors.Is(err, netlab.ErrNotAllowed) {
			return exitNotAllowed
		}
		return exitBad
	}
	if !inside {
		return code
	}
	c.readMode = "lease"
	cl, err := startCluster(c, func(p *process, err error) { fmt.Println(p.name, "ended:", err) })
	if err == nil {
		err = cl.awaitReady(context.Background(), 20*time.Second)
	}
	if err == nil {
		var client *clientv3.Client
		client, err = clientv3.New(clientv3.Config{Endpoints: cl.endpoints()})
		if err == nil {
			begin := time.Now()
			for range 1000 {
				_, err = client.Put(context.Background(), "a", "b")
			}
			fmt.Println("1000 puts", time.Since(begin), err, cl.network.Traffic())
		}
	}
	if err == nil {
		err = cl.close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "nemesis:", err)
		return exitBad
	}
	return 0
}
