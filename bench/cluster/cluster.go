// Package cluster runs the servers that are compared: three processes of one system on loopback.
//
// It owns the processes, their ports and directories, and reads their CPU time from /proc. A
// Cluster is for one caller; Stop ends its processes and waits for them. What the processes print
// goes to a file beside their data.
package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const (
	stopMax  = 20 * time.Second
	startMax = 60 * time.Second
)

// Member is a node that is to be started.
type Member struct {
	Name   string
	Dir    string
	Client string // host:port
	Peer   string
}

// System is what is compared.
type System interface {
	Name() string
	// Command starts one of the members with what the user left at its default, and data on disk.
	Command(m Member, all []Member) *exec.Cmd
}

// Cluster is a running system.
type Cluster struct {
	System    System
	Endpoints []string // host:port, of clients
	processes []*process
}

type process struct {
	cmd    *exec.Cmd
	output *os.File
	exited chan struct{} // closed once err is there
	err    error
}

// Start runs as many members, with directories below dir, and waits until their ports are open.
func Start(s System, dir string, members int) (*Cluster, error) {
	all, err := plan(s, dir, members)
	if err != nil {
		return nil, err
	}
	c := &Cluster{System: s}
	for _, m := range all {
		c.Endpoints = append(c.Endpoints, m.Client)
		p, err := start(s.Command(m, all), m)
		if err != nil {
			return nil, errors.Join(err, c.Stop())
		}
		c.processes = append(c.processes, p)
	}
	for i, m := range all {
		if err := c.processes[i].await(m); err != nil {
			return nil, errors.Join(err, c.Stop())
		}
	}
	return c, nil
}

func plan(s System, dir string, members int) ([]Member, error) {
	ports, err := freePorts(2 * members)
	if err != nil {
		return nil, err
	}
	all := make([]Member, members)
	for i := range all {
		name := fmt.Sprintf("n%d", i+1)
		all[i] = Member{
			Name:   name,
			Dir:    filepath.Join(dir, s.Name(), name),
			Client: ports[2*i],
			Peer:   ports[2*i+1],
		}
	}
	return all, nil
}

// Ports are taken from below those that the system gives to outgoing connections.
const (
	portMin   = 20_000
	portCount = 10_000
)

// freePorts finds ports that nobody listens on now.
func freePorts(count int) ([]string, error) {
	var addresses []string
	for range portCount {
		address := fmt.Sprintf("127.0.0.1:%d", portMin+rand.IntN(portCount))
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		defer l.Close() // only once all are found, so that none is found twice
		if addresses = append(addresses, address); len(addresses) == count {
			return addresses, nil
		}
	}
	return nil, fmt.Errorf("cluster: no %d free ports", count)
}

func start(cmd *exec.Cmd, m Member) (*process, error) {
	if err := os.MkdirAll(m.Dir, 0o700); err != nil {
		return nil, err
	}
	output, err := os.Create(m.Dir + ".log")
	if err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, output: output, exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, output.Close())
	}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// await waits until the client port is open.
func (p *process) await(m Member) error {
	deadline := time.Now().Add(startMax)
	for {
		conn, err := net.Dial("tcp", m.Client)
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("cluster: %s: %w after %v", m.Name, err, startMax)
		}
		select {
		case <-p.exited:
			return fmt.Errorf("cluster: %s ended: %v; see %s", m.Name, p.err, p.output.Name())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Stop asks all processes to stop, ends those that don't, and waits for them.
func (c *Cluster) Stop() error {
	var errs []error
	for _, p := range c.processes {
		select {
		case <-p.exited: // a dead one is none to signal
		default:
			errs = append(errs, p.cmd.Process.Signal(syscall.SIGTERM))
		}
	}
	timer := time.NewTimer(stopMax)
	defer timer.Stop()
	for _, p := range c.processes {
		select {
		case <-p.exited:
		case <-timer.C:
			errs = append(errs, p.cmd.Process.Kill())
			timer.Reset(0) // no others are waited for
			<-p.exited
		}
		errs = append(errs, p.output.Close())
	}
	return errors.Join(errs...)
}
