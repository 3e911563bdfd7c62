package cli

import (
	"errors"
	"strings"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
)

func nodesSeen(clients ...string) []kv.NodeStatus {
	var nodes []kv.NodeStatus
	for i, client := range clients {
		id := kv.NodeID(i + 1)
		nodes = append(nodes, kv.NodeStatus{
			ID: id, Name: id.String(), Peer: "p" + id.String(), Client: client,
		})
	}
	return nodes
}

// views is a cluster of three: n1 leads shard 0, n2 leads shard 1, which n1
// believes to lead still; n3 does not answer.
func views() []view {
	return []view{
		{endpoint: "a:1", status: kv.Status{
			Cluster: 7, Node: 1, Name: "n1", Version: "v1", Revision: 90, Ready: true,
			Nodes: nodesSeen("a:1", "", "c:1"),
			Shards: []kv.ShardStatus{
				{
					ID: 0, Leader: 1, Term: 3, Commit: 10, Applied: 10,
					Replicas: []kv.ReplicaStatus{
						{ID: 1, Node: 1, Match: 10},
						{ID: 2, Node: 2, Match: 10},
						{ID: 3, Node: 3, Match: 4, Lag: 6, Learner: true},
					},
				},
				{
					ID: 1, End: []byte("m"), Leader: 1, Term: 4, Commit: 50, Revision: 80,
					Replicas: []kv.ReplicaStatus{{ID: 1, Node: 1}},
				},
				{ID: 2, Start: []byte("m"), Term: 2, Commit: 20, Applied: 18, Revision: 70},
			},
		}},
		{endpoint: "b:1", status: kv.Status{
			Cluster: 7, Node: 2, Name: "n2", Version: "v2", Revision: 95,
			Waiting: "leaders of shards s2", Nodes: nodesSeen("a:1", "b:1", "c:1"),
			Shards: []kv.ShardStatus{
				{ID: 0, Leader: 1, Term: 3, Commit: 9, Applied: 9},
				{
					ID: 1, End: []byte("m"), Leader: 2, Term: 5, Commit: 55, Revision: 95,
					Replicas: []kv.ReplicaStatus{{ID: 2, Node: 2}, {ID: 1, Node: 1, Lag: 5}},
				},
				{ID: 2, Start: []byte("m"), Term: 2, Commit: 22, Applied: 22, Revision: 72},
			},
		}},
		{endpoint: "c:1", err: errors.New("connection refused")},
	}
}

func TestViewsMakeOnePicture(t *testing.T) {
	merged := merge(views())
	var out strings.Builder
	if err := merged.print(&out); err != nil {
		t.Fatal(err)
	}
	const want = `cluster 0000000000000007, revision 95

NODE  STATE        CLIENTS  PEERS  LEADS  REVISION  VERSION
n1    ready        a:1      pn1    1      90        v1
n2    waiting      b:1      pn2    1      95        v2
n3    unreachable  c:1      pn3    0      -         -

SHARD  FROM       TO        LEADER  TERM  COMMIT  REVISION  REPLICAS
0      (system)   -         n1      3     10      0         n1, n2, n3 (learner) (lag 6)
1      first key  m         n2      5     55      95        n2, n1 (lag 5)
2      m          last key  -       2     22      72        n1 (lag 4), n2

n2 is waiting: leaders of shards s2

n3 is unreachable: connection refused
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTheOrderOfAnswersDoesNotMatter(t *testing.T) {
	forward, backward := views(), views()
	backward[0], backward[2] = backward[2], backward[0]
	var a, b strings.Builder
	first, second := merge(forward), merge(backward)
	if err := errors.Join(printJSON(&a, first), printJSON(&b, second)); err != nil {
		t.Fatal(err)
	}
	// Without a leader the replicas stand in the order of the answers.
	one := strings.Split(a.String(), `"id":2,"leader":0`)[0]
	if !strings.HasPrefix(b.String(), one) {
		t.Errorf("one order gives\n%s\nthe other\n%s", a.String(), b.String())
	}
}

func TestViewsThatMakeNoPicture(t *testing.T) {
	refused := errors.New("refused")
	if err := usable([]view{{err: refused}, {err: errors.New("other")}}); !errors.Is(err, refused) {
		t.Errorf("without an answer the error is %v, want the first one's", err)
	}
	err := usable([]view{
		{endpoint: "a:1", status: kv.Status{Cluster: 1}},
		{err: refused},
		{endpoint: "b:1", status: kv.Status{Cluster: 2}},
	})
	want := "a:1 is of cluster 0000000000000001, b:1 of cluster 0000000000000002: " +
		"ask for one at a time"
	if err == nil || err.Error() != want {
		t.Errorf("of two clusters: %v, want %s", err, want)
	}
	if err := usable(views()); err != nil {
		t.Errorf("of three nodes one of which is away: %v", err)
	}
}
