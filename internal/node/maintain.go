package node

import "github.com/miruvor/miruvor/internal/kv"

// Standing implements kv.Maintainer.
func (n *Node) Standing() kv.Standing {
	st := kv.Standing{Cluster: n.dir.desc.Cluster, Node: n.membership.self.ID}
	if known := n.standing.Load(); known != nil {
		st.Leader, st.Term = known.Leader, known.Term
	}
	return st
}
