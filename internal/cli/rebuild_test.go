package cli

import (
	"errors"
	"strings"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/node"
)

// threeNodes is what n1 and n2 say of a cluster of three, of which n3 is down. Shard 0 and 1
// are led by n1, shard 2 by n2.
func threeNodes() []view {
	nodes := []kv.NodeStatus{{ID: 1, Name: "n1"}, {ID: 2, Name: "n2"}, {ID: 3, Name: "n3"}}
	everywhere := []kv.ReplicaStatus{{ID: 1, Node: 1}, {ID: 2, Node: 2}, {ID: 3, Node: 3}}
	shard := func(id kv.ShardID, start, end string, leader, self kv.NodeID) kv.ShardStatus {
		s := kv.ShardStatus{ID: id, Leader: leader, Term: 2, Start: []byte(start)}
		if end != "" {
			s.End = []byte(end)
		}
		if leader == self {
			s.Replicas = everywhere
		}
		return s
	}
	var views []view
	for self := kv.NodeID(1); self <= 2; self++ {
		views = append(views, view{status: kv.Status{
			Cluster: 7, Node: self, Name: nodes[self-1].Name, Ready: true, Nodes: nodes,
			Shards: []kv.ShardStatus{
				shard(0, "", "", 1, self), shard(1, "", "m", 1, self), shard(2, "m", "", 2, self),
			},
		}})
	}
	return views
}

func TestDoesWithout(t *testing.T) {
	n3 := node.Owner{Name: "n3", Cluster: 7}
	for _, test := range []struct {
		name  string
		owner node.Owner
		do    func(views []view) []view
		want  string
	}{
		{"fine", n3, func(v []view) []view { return v }, ""},
		{"unknown name of the cluster", node.Owner{Name: "n3"}, func(v []view) []view {
			return v
		}, ""},
		{"another cluster", node.Owner{Name: "n3", Cluster: 8}, func(v []view) []view {
			return v
		}, "is of cluster"},
		{"no such node", node.Owner{Name: "n4", Cluster: 7}, func(v []view) []view {
			return v
		}, `no node "n4"`},
		{"it runs", node.Owner{Name: "n2", Cluster: 7}, func(v []view) []view {
			return v
		}, "n2 runs"},
		{"one more is down", n3, func(v []view) []view {
			return v[:1]
		}, "shard 0 has 1 of its 3 voters left"},
		{"one more is not ready", n3, func(v []view) []view {
			v[1].status.Ready = false
			return v
		}, "shard 2 has no leader among the others"},
		{"no leader", n3, func(v []view) []view {
			for i := range v {
				v[i].status.Shards[1].Leader, v[i].status.Shards[1].Replicas = 0, nil
			}
			return v
		}, "shard 1 has no leader"},
		{"led by itself", n3, func(v []view) []view {
			for i := range v {
				v[i].status.Shards[1].Leader = 3
			}
			return v
		}, "shard 1 has no leader among the others"},
		{"a shard of which nobody tells", n3, func(v []view) []view {
			for i := range v {
				v[i].status.Shards = v[i].status.Shards[:2]
			}
			return v
		}, "not all shards"},
		{"alone", n3, func(v []view) []view {
			v[0].status.Nodes = []kv.NodeStatus{{ID: 3, Name: "n3"}}
			v[0].status.Node, v[0].status.Name = 3, "n3"
			return v[:1]
		}, "the only node"},
	} {
		picture := merge(test.do(threeNodes()))
		err := errors.Join(picture.doesWithout(test.owner)...)
		if test.want == "" && err != nil ||
			test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}
