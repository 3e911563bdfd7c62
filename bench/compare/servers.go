package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

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
	binary := o.binaries[name]
	if name == "etcd" {
		if binary == "" {
			binary = filepath.Join(o.dir, "bin", "etcd")
			if err := build(".", "./etcdserver", binary); err != nil {
				return nil, err
			}
		}
		return cluster.Etcd{Binary: binary, Flags: o.flagsOf(name)}, nil
	}
	if binary == "" {
		binary = filepath.Join(o.dir, "bin", "miruvor")
		if err := build("..", ".", binary); err != nil {
			return nil, err
		}
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

// build makes a binary as releases are made; module is relative to this module's directory.
func build(module, pkg, to string) error {
	to, err := filepath.Abs(to)
	if err != nil {
		return err
	}
	here, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("not in the module bench: %w", err)
	}
	dir := filepath.Join(string(bytes.TrimSpace(here)), module)
	cmd := exec.Command("go", "build", "-C", dir, "-trimpath", "-ldflags=-s -w", "-o", to, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go build %s: %w", pkg, err)
	}
	return nil
}
