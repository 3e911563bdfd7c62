package cli

import (
	"cmp"
	"maps"
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// view is what one endpoint told of its cluster, or why it did not.
type view struct {
	endpoint string
	status   kv.Status
	err      error
}

// topology is a cluster as all its nodes together see it.
type topology struct {
	Cluster  kv.ClusterID `json:"cluster_id,string"`
	Revision kv.Revision  `json:"revision"`
	Nodes    []nodeView   `json:"nodes"`
	Shards   []shardView  `json:"shards"`
	// Alarms are those that any of the nodes knows of.
	Alarms []kv.Alarm `json:"alarms,omitempty"`
}

// The states of a node.
const (
	stateReady       = "ready"
	stateWaiting     = "waiting"
	stateUnreachable = "unreachable"
)

// nodeView is a node.
type nodeView struct {
	ID      kv.NodeID `json:"id"`
	Name    string    `json:"name"`
	Peer    string    `json:"peer"`
	Client  string    `json:"client"`
	State   string    `json:"state"`
	Version string    `json:"version,omitempty"`
	// Revision is the highest that the node has seen.
	Revision kv.Revision `json:"revision"`
	// Leads is how many shards the node leads.
	Leads int `json:"leads"`
	// Reason is what the node waits for, or why it cannot be asked.
	Reason string `json:"reason,omitempty"`
}

// shardView is a shard as its leader sees it, or else as the replica does that
// is furthest.
type shardView struct {
	kvjson.Shard
	LeaderName string        `json:"leader_name"`
	Replicas   []replicaView `json:"replicas"`
	start, end []byte
}

// replicaView is a replica of a shard.
type replicaView struct {
	Node     kv.NodeID `json:"node"`
	NodeName string    `json:"node_name"`
	Learner  bool      `json:"learner"`
	// Lag is how many entries of the log are not here yet.
	Lag uint64 `json:"lag"`
}

// merge makes one picture of what the endpoints told. At least one did.
func merge(views []view) topology {
	t := topology{Nodes: mergeNodes(views)}
	names := map[kv.NodeID]string{}
	for _, node := range t.Nodes {
		names[node.ID] = node.Name
	}
	for _, v := range views {
		if v.err == nil {
			t.Cluster = v.status.Cluster
			t.Revision = max(t.Revision, v.status.Revision)
			t.Alarms = append(t.Alarms, v.status.Alarms...)
		}
	}
	slices.SortFunc(t.Alarms, kv.Alarm.Compare)
	t.Alarms = slices.Compact(t.Alarms)
	t.Shards = mergeShards(views, names)
	for _, shard := range t.Shards {
		for i := range t.Nodes {
			if t.Nodes[i].ID == shard.Leader {
				t.Nodes[i].Leads++
			}
		}
	}
	return t
}

func mergeNodes(views []view) []nodeView {
	nodes := map[kv.NodeID]nodeView{}
	for _, v := range views {
		for _, n := range v.status.Nodes {
			known := nodes[n.ID]
			nodes[n.ID] = nodeView{
				ID: n.ID, Name: n.Name, Peer: cmp.Or(n.Peer, known.Peer),
				Client: cmp.Or(n.Client, known.Client), State: stateUnreachable,
			}
		}
	}
	for _, v := range views {
		if v.err == nil {
			nodes[v.status.Node] = nodes[v.status.Node].answered(&v)
		}
	}
	for _, v := range views {
		for id, n := range nodes {
			if v.err != nil && n.State == stateUnreachable && n.Client == v.endpoint {
				n.Reason = v.err.Error()
				nodes[id] = n
			}
		}
	}
	return slices.SortedFunc(maps.Values(nodes), func(a, b nodeView) int {
		return cmp.Compare(a.ID, b.ID)
	})
}

// answered is n after it was asked itself.
func (n nodeView) answered(v *view) nodeView {
	n.ID, n.Name = v.status.Node, v.status.Name
	n.Client = cmp.Or(n.Client, v.endpoint)
	n.Version, n.Revision = v.status.Version, v.status.Revision
	n.State, n.Reason = stateReady, ""
	if !v.status.Ready {
		n.State, n.Reason = stateWaiting, v.status.Waiting
	}
	return n
}

func mergeShards(views []view, names map[kv.NodeID]string) []shardView {
	best := map[kv.ShardID]kv.ShardStatus{}
	commit := map[kv.ShardID]uint64{}
	for _, v := range views {
		for _, s := range v.status.Shards {
			if known, ok := best[s.ID]; !ok || tellsMore(&s, &known) {
				best[s.ID] = s
			}
			commit[s.ID] = max(commit[s.ID], s.Commit)
		}
	}
	var shards []shardView
	for _, s := range best {
		shard := shardView{LeaderName: names[s.Leader], start: s.Start, end: s.End}
		shard.Replicas = replicaViews(views, &s, commit[s.ID], names)
		s.Replicas = nil
		shard.Shard = kvjson.NewStatus(kv.Status{Shards: []kv.ShardStatus{s}}).Shards[0]
		shards = append(shards, shard)
	}
	slices.SortFunc(shards, func(a, b shardView) int { return cmp.Compare(a.ID, b.ID) })
	return shards
}

// tellsMore tells whether a is worth more than b: the later term, then the
// leader's own view, then the longer log.
func tellsMore(a, b *kv.ShardStatus) bool {
	switch {
	case a.Term != b.Term:
		return a.Term > b.Term
	case (a.Replicas != nil) != (b.Replicas != nil):
		return a.Replicas != nil
	}
	return a.Commit > b.Commit
}

// replicaViews are the replicas of s: its leader's list, or without one those
// that were heard of.
func replicaViews(
	views []view, s *kv.ShardStatus, commit uint64, names map[kv.NodeID]string,
) []replicaView {
	list := []replicaView{}
	if s.Replicas != nil {
		for _, r := range s.Replicas {
			list = append(list, replicaView{r.Node, names[r.Node], r.Learner, r.Lag})
		}
		return list
	}
	for _, v := range views {
		for _, own := range v.status.Shards {
			if own.ID == s.ID {
				node := v.status.Node
				list = append(list, replicaView{node, names[node], false, commit - own.Applied})
			}
		}
	}
	return list
}
