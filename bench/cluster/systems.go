package cluster

import (
	"os/exec"
	"strconv"
	"strings"
)

// Etcd is etcd's server; Binary is bench/etcdserver, or a released etcd.
type Etcd struct {
	Binary string
	Flags  []string // further ones
}

// Name is etcd.
func (Etcd) Name() string { return "etcd" }

// Command has addresses and a directory.
func (e Etcd) Command(m Member, all []Member) *exec.Cmd {
	peers := make([]string, len(all))
	for i, other := range all {
		peers[i] = other.Name + "=http://" + other.Peer
	}
	args := []string{
		"--name", m.Name, "--data-dir", m.Dir,
		"--listen-client-urls", "http://" + m.Client, "--advertise-client-urls", "http://" + m.Client,
		"--listen-peer-urls", "http://" + m.Peer, "--initial-advertise-peer-urls", "http://" + m.Peer,
		"--initial-cluster", strings.Join(peers, ","),
	}
	return exec.Command(e.Binary, append(args, e.Flags...)...)
}

// Miruvor is what this repository builds. SplitAt are the keys that part its shards.
type Miruvor struct {
	Binary  string
	SplitAt []string
	Flags   []string // further ones
}

// Name is miruvor.
func (Miruvor) Name() string { return "miruvor" }

// Command has addresses, a directory and shards.
func (v Miruvor) Command(m Member, all []Member) *exec.Cmd {
	members := make([]string, len(all))
	for i, other := range all {
		members[i] = other.Name + "=" + other.Peer
	}
	args := []string{
		"start", "--name", m.Name, "--data", m.Dir, "--client", m.Client, "--peer", m.Peer,
		"--initial-cluster", strings.Join(members, ","),
		"--initial-shards", strconv.Itoa(len(v.SplitAt) + 1),
	}
	if len(v.SplitAt) > 0 {
		args = append(args, "--split-at", strings.Join(v.SplitAt, ","))
	}
	return exec.Command(v.Binary, append(args, v.Flags...)...)
}
