package main

import (
	"fmt"

	"github.com/miruvor/miruvor/bench/cluster"
	"github.com/miruvor/miruvor/bench/load"
)

// server is a running cluster and the client that loads it.
type server struct {
	*cluster.Cluster
	client load.Client
}

// startServer builds what is to be built, starts a system's nodes, and fills it with the keys.
func startServer(o *options, name string, s *load.Shape) (*server, error) {
	system, err := o.system(name)
	if err != nil {
		return nil, err
	}
	c, err := cluster.Start(system, o.dir, nodes)
	if err != nil {
		return nil, err
	}
	server := &server{Cluster: c}
	if server.client, err = o.connect(c.Endpoints); err != nil {
		return server, err
	}
	if err := server.fill(s); err != nil {
		return server, fmt.Errorf("%s: %w", name, err)
	}
	return server, nil
}

func (o *options) connect(endpoints []string) (load.Client, error) {
	if o.client == clientV3 {
		return load.NewStandard(endpoints, o.shape.perEndpoint*len(endpoints))
	}
	return load.NewLean(endpoints, o.shape.perEndpoint)
}

// system finds the binary of a system, or builds it.
func (o *options) system(name string) (cluster.System, error) {
	build := cluster.BuildMiruvor
	if name == "etcd" {
		build = cluster.BuildEtcd
	}
	binary := o.binaries[name]
	if binary == "" {
		var err error
		if binary, err = build(o.dir); err != nil {
			return nil, err
		}
	}
	if name == "etcd" {
		return cluster.Etcd{Binary: binary, Flags: o.flagsOf(name)}, nil
	}
	return cluster.Miruvor{
		Binary:  binary,
		SplitAt: load.SplitPoints(o.shards),
		Flags:   o.flagsOf(name),
	}, nil
}

var pprofFlags = map[string]string{"miruvor": "--pprof", "etcd": "--enable-pprof"}

// flagsOf are a server's beside addresses, data and shards.
func (o *options) flagsOf(system string) []string {
	var flags []string
	if system == "miruvor" {
		flags = append(flags, o.flags...)
	}
	if o.profiles != "" {
		flags = append(flags, pprofFlags[system])
	}
	return flags
}
