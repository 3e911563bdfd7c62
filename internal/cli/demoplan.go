package cli

import (
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/miruvor/miruvor/internal/node"
)

// configs are the nodes of the demo, n1 and so on.
func (d *demoCommand) configs(logger *slog.Logger) []instanceConfig {
	cluster := node.Cluster{Shards: d.shards, SplitAt: d.splitAt}
	auto, _ := d.compacting.auto() // complete has checked it
	configs := make([]instanceConfig, d.nodes)
	for i := range configs {
		name := fmt.Sprintf("n%d", i+1)
		c := &configs[i]
		c.listen = loopback(d.clientPorts[i])
		c.node = node.Config{
			Name: name, Dir: filepath.Join(d.data, name), Durability: node.DurabilitySync,
			Listen: loopback(d.peerPorts[i]), AdvertiseClient: c.listen,
			Upkeep:  node.Upkeep{AutoCompaction: auto},
			Version: version(), Logger: logger.With("node", name),
		}
		if d.ephemeral {
			c.node.Dir, c.node.Durability = "", node.DurabilityMemory
		}
		cluster.Members = append(cluster.Members, node.Member{Name: name, Peer: c.node.Listen})
	}
	for i := range configs {
		configs[i].node.Cluster = cluster
	}
	return configs
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// demoClientPorts are those of etcd's own local cluster, and what follows them.
var demoClientPorts = portList{2379, 22379, 32379, 42379, 52379, 62379, 12379}

// completePorts fills in the ports and returns all that is wrong with them.
func (d *demoCommand) completePorts() []error {
	if len(d.clientPorts) == 0 {
		d.clientPorts = slices.Clone(demoClientPorts[:d.nodes])
	}
	if len(d.peerPorts) == 0 {
		d.peerPorts = peerPortsFor(d.clientPorts)
	}
	var problems []error
	for _, list := range []struct {
		flag  string
		ports portList
	}{{"client-ports", d.clientPorts}, {"peer-ports", d.peerPorts}} {
		if len(list.ports) != d.nodes {
			problems = append(problems, fmt.Errorf("--%s lists %d ports, but --nodes is %d",
				list.flag, len(list.ports), d.nodes))
		}
	}
	if port := duplicate(slices.Concat(d.clientPorts, d.peerPorts)); port != 0 {
		problems = append(problems,
			fmt.Errorf("port %d is given twice in --client-ports and --peer-ports", port))
	}
	return problems
}

// peerPortsFor are the ports behind the clients' ports, or if one of them is a
// client's itself, those a thousand above.
func peerPortsFor(clients portList) portList {
	shifted := func(by int) portList {
		var peers portList
		for _, port := range clients {
			if port+by > portMax {
				by = -by
			}
			peers = append(peers, port+by)
		}
		return peers
	}
	if peers := shifted(1); duplicate(slices.Concat(clients, peers)) == 0 {
		return peers
	}
	return shifted(1000)
}

// duplicate is a port that ports holds twice, or 0.
func duplicate(ports portList) int {
	sorted := slices.Sorted(slices.Values(ports))
	for i := 1; i < len(sorted); i++ {
		if sorted[i] == sorted[i-1] {
			return sorted[i]
		}
	}
	return 0
}

// checkNodesOfData refuses to start with another number of nodes than before.
func (d *demoCommand) checkNodesOfData() []error {
	found, err := filepath.Glob(filepath.Join(d.data, "n[0-9]", "node.json"))
	if err != nil || len(found) == 0 || len(found) == d.nodes {
		return nil
	}
	return []error{fmt.Errorf("--nodes is %d, but %s holds a demo of %d nodes: "+
		"start it with --nodes %d, or give another --data",
		d.nodes, d.data, len(found), len(found))}
}

// spreadSplits are the keys that part n shards so that keys of plain text meet
// all of them. Letters and digits count the same, and the signs before them,
// such as the slash of /registry, as much as four of them:
//
//	4 shards:  6 g q     "/registry" "42" in the 1st, "config" in the 2nd,
//	                     "key" in the 3rd, "user" in the 4th
func spreadSplits(n int) keyList {
	const heads = "0123456789abcdefghijklmnopqrstuvwxyz"
	const signs = 4
	// With many shards the signs are not worth one of their own.
	first := signs
	if n > (len(heads)+signs)/signs {
		first = 0
	}
	var splits keyList
	for i := 1; i < n; i++ {
		at := i*(len(heads)+first)*len(heads)/n - first*len(heads)
		key := []byte{heads[at/len(heads)]}
		if second := at % len(heads); second > 0 {
			key = append(key, heads[second])
		}
		splits = append(splits, key)
	}
	return splits
}
