package member

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/wire"
)

// ErrReplaced means that another directory has taken this one's place.
var ErrReplaced = errors.New("another data directory has taken this node's place")

// ErrNotRestored means that the node is to found a cluster that begins with a
// backup, but its directory is empty.
var ErrNotRestored = errors.New("the cluster begins with a backup, " +
	"which was not restored into this data directory")

// Config is what a member needs to live.
type Config struct {
	Cluster kv.ClusterID
	Self    wire.Node
	// Peers are the other nodes of the cluster.
	Peers []kv.NodeID
	// Groups are the nodes of each Raft group that Self is to be part of.
	Groups [][]kv.NodeID
	Engine engine.Engine
	// Found writes what a founder begins with into the batch that makes it
	// one; Discard, unless nil, deletes what a restored directory holds from the
	// batch that makes it a replacement.
	Found, Discard func(engine.Batch) error
	// Rejoins says that the cluster began with a backup and this directory did
	// not: the node founds nothing (ErrNotRestored).
	Rejoins bool
	Mutant  mutant.Mutant
	Logger  *slog.Logger
}

// Greeting is a greeting on its way.
type Greeting struct {
	To      kv.NodeID
	Message wire.Message
}

// Peer is what a node knows of another from its last greeting.
type Peer struct {
	Node wire.Node
	Role wire.Role
}

// ReplicaIncarnation is what the peer's entries in shard descriptors carry.
func (p Peer) ReplicaIncarnation() kv.Incarnation {
	return replicaIncarnation(p.Role, p.Node.Incarnation)
}

// Member is a node's membership. One goroutine uses it.
type Member struct {
	cfg Config
	id  Identity
	// known are the incarnations on record; a restart finds them again.
	known map[kv.NodeID]kv.Incarnation
	// clear are the peers that know no other directory of this node.
	clear map[kv.NodeID]bool
	peers map[kv.NodeID]Peer
}

// Open reads the directory's identity, or gives a new one with the
// incarnation of cfg.Self. A directory of another node is refused.
func Open(cfg Config) (*Member, error) {
	id, ok, err := LoadIdentity(cfg.Engine)
	if err != nil {
		return nil, err
	}
	if !ok {
		id = Identity{
			Format: Format, Cluster: cfg.Cluster, Node: cfg.Self.ID, Name: cfg.Self.Name,
			Incarnation: cfg.Self.Incarnation,
		}
		if err := WriteIdentity(cfg.Engine, id); err != nil {
			return nil, err
		}
	}
	if err := id.Matches(cfg.Cluster, cfg.Self.ID, cfg.Self.Name); err != nil {
		return nil, err
	}
	cfg.Self.Incarnation = id.Incarnation
	known, err := loadPeers(cfg.Engine)
	if err != nil {
		return nil, err
	}
	m := &Member{
		cfg: cfg, id: id, known: known,
		clear: map[kv.NodeID]bool{}, peers: map[kv.NodeID]Peer{},
	}
	return m, m.decide()
}

// WriteIdentity makes an engine that of a node, durably. Open does so where
// nobody did.
func WriteIdentity(e engine.Engine, id Identity) error {
	b := e.NewBatch()
	if err := id.put(b); err != nil {
		return err
	}
	return commitDurably(e, b)
}

// Role is what the directory makes of the node.
func (m *Member) Role() wire.Role { return m.id.Role }

// Identity is the directory's.
func (m *Member) Identity() Identity { return m.id }

// Peers are the peers heard of since the start.
func (m *Member) Peers() map[kv.NodeID]Peer { return m.peers }

// Waiting are the peers that an undecided node has yet to hear from.
func (m *Member) Waiting() []kv.NodeID {
	if m.id.Role != wire.RoleUndecided {
		return nil
	}
	var list []kv.NodeID
	for _, peer := range m.cfg.Peers {
		if !m.clear[peer] {
			list = append(list, peer)
		}
	}
	slices.Sort(list)
	return list
}

// Greetings are due now and then: once a second is enough.
func (m *Member) Greetings() []Greeting {
	list := make([]Greeting, 0, len(m.cfg.Peers))
	for _, peer := range m.cfg.Peers {
		list = append(list, m.greet(peer, false, 0))
	}
	return list
}

func (m *Member) greet(to kv.NodeID, reply bool, known kv.Incarnation) Greeting {
	return Greeting{To: to, Message: wire.Message{Greeting: &wire.Greeting{
		Node: m.cfg.Self, Role: m.id.Role, Reply: reply, Known: known,
	}}}
}

// Receive takes a peer's greeting and returns the answer to it, if one is due.
// It returns ErrReplaced if this node must stop (invariant 3).
func (m *Member) Receive(from kv.NodeID, g *wire.Greeting) ([]Greeting, error) {
	if from != g.Node.ID || !slices.Contains(m.cfg.Peers, from) {
		return nil, nil
	}
	if g.Reply {
		return nil, m.answered(from, g.Known)
	}
	before := m.known[from]
	if before == 0 || (before != g.Node.Incarnation && g.Role == wire.RoleReplacement) {
		if err := m.record(from, g.Node.Incarnation); err != nil {
			return nil, err
		}
	}
	if m.known[from] == g.Node.Incarnation && g.Role != wire.RoleUndecided {
		m.peers[from] = Peer{Node: g.Node, Role: g.Role}
	}
	if g.Role == wire.RoleReplacement {
		before = g.Node.Incarnation
	}
	return []Greeting{m.greet(from, true, before)}, nil
}

// record writes a peer's incarnation down for good (invariant 2).
func (m *Member) record(peer kv.NodeID, inc kv.Incarnation) error {
	b := m.cfg.Engine.NewBatch()
	value := binary.BigEndian.AppendUint64(nil, uint64(inc))
	if err := b.Set(keyspace.PeerKey(nil, peer), value); err != nil {
		return fmt.Errorf("peer %v: %w", peer, err)
	}
	if err := commitDurably(m.cfg.Engine, b); err != nil {
		return fmt.Errorf("peer %v: %w", peer, err)
	}
	m.known[peer] = inc
	return nil
}

// answered takes what a peer had on record of this node.
func (m *Member) answered(from kv.NodeID, known kv.Incarnation) error {
	other := known != 0 && known != m.id.Incarnation
	if m.cfg.Mutant == mutant.RejoinAsVoter {
		other = false
	}
	switch {
	case !other:
		m.clear[from] = true
		return m.decide()
	case m.id.Role == wire.RoleUndecided:
		m.cfg.Logger.Warn("this node had another data directory before; "+
			"it rejoins as a replacement", "peer", from, "known", known)
		return m.become(wire.RoleReplacement)
	case m.id.Role == wire.RoleFounder:
		return fmt.Errorf("%w: %v knows incarnation %v, this directory is %v",
			ErrReplaced, from, known, m.id.Incarnation)
	}
	return nil
}

// decide makes an undecided node a founder once it heard enough. One that is to
// be part of no group founds nothing: it may be wiped and come back at any time.
func (m *Member) decide() error {
	if m.id.Role != wire.RoleUndecided {
		return nil
	}
	if len(m.cfg.Groups) == 0 {
		return m.become(wire.RoleReplacement)
	}
	if m.cfg.Rejoins {
		if len(m.clear) < len(m.cfg.Peers) {
			return nil
		}
		return ErrNotRestored
	}
	for _, group := range m.cfg.Groups {
		n := len(group)
		quorum := n/2 + 1
		clear := 0
		for _, node := range group {
			if node != m.cfg.Self.ID && m.clear[node] {
				clear++
			}
		}
		if clear < min(n-quorum+1, n-1) {
			return nil
		}
	}
	return m.become(wire.RoleFounder)
}

// become makes the decision durable, with what it brings (invariant 1).
func (m *Member) become(role wire.Role) error {
	id := m.id
	id.Role = role
	b := m.cfg.Engine.NewBatch()
	if err := id.put(b); err != nil {
		return err
	}
	prepare := m.cfg.Found
	if role == wire.RoleReplacement {
		prepare = m.cfg.Discard
	}
	if prepare != nil {
		if err := prepare(b); err != nil {
			return err
		}
	}
	if err := commitDurably(m.cfg.Engine, b); err != nil {
		return err
	}
	m.id = id
	return nil
}
