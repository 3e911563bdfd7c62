package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/member"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/raftlog"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/transport"
	"github.com/miruvor/miruvor/internal/wire"
	"github.com/miruvor/miruvor/internal/worker"
)

// tickInterval is the unit of elections and heartbeats.
const tickInterval = 50 * time.Millisecond

// Node is a running node.
type Node struct {
	cfg    Config
	log    *slog.Logger
	dir    *directory
	shards placement.Map
	parts
	membership membership
	// threads are nil until the member's role is decided.
	threads threads
	// hub is nil until then too.
	hub atomic.Pointer[hub]
	outlook
	// running counts the node's own goroutines; stopping ends them, stopped is
	// closed when the threads have ended.
	running  sync.WaitGroup
	stopping context.Context
	stop     context.CancelFunc
	stopped  chan struct{}
	failed   chan error
	streams  chan struct{}
}

// outlook is what a node knows without asking.
type outlook struct {
	// standing is how the system shard stands, nil if nothing is known yet.
	standing atomic.Pointer[worker.Standing]
	space    space
	// written is the highest revision of a write that this node has answered.
	written atomic.Int64
}

// parts are what a node is built of.
type parts struct {
	engine engine.Engine
	// wrecked says that the engine may not answer any more.
	wrecked   atomic.Bool
	raftlog   *raftlog.Log
	writer    *raftlog.Writer
	transport *transport.Transport
	opened    opened
	// entrances bound what is asked of the shards.
	entrances entrances
	// ending is how Stop stops, ended what it returns.
	ending sync.Once
	ended  error
}

// streamsMax is how many snapshots are sent at a time.
const streamsMax = 2

// Start opens the directory, binds the peer address and joins the cluster. It
// returns while the cluster still forms: Status tells when the node is ready.
// What is wrong with cfg, the directory or the address is reported before
// anything is changed.
func Start(cfg Config) (*Node, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := probe(cfg.Listen); err != nil {
		return nil, err
	}
	shards, err := cfg.Cluster.layout().Build()
	if err != nil {
		return nil, err
	}
	dir, err := openDirectory(cfg)
	if err != nil {
		return nil, err
	}
	n := &Node{
		cfg: cfg, log: cfg.Logger, dir: dir, shards: shards,
		parts:   parts{entrances: newEntrances(shards, cfg.RequestTimeout)},
		stopped: make(chan struct{}), failed: make(chan error, 1),
		streams: make(chan struct{}, streamsMax),
	}
	n.stopping, n.stop = context.WithCancel(context.Background())
	if err := n.open(); err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

// probe makes sure that an address can be bound.
func probe(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return kv.Invalid("peer: %v", err)
	}
	return l.Close()
}

// open builds the node from the bottom up.
func (n *Node) open() error {
	if err := n.dir.complete(); err != nil {
		return err
	}
	if err := n.openStorage(); err != nil {
		return err
	}
	if err := n.openMember(); err != nil {
		return err
	}
	nodes := n.cfg.Cluster.nodes()
	var err error
	n.transport, err = transport.Listen(transport.Options{
		Cluster: n.dir.desc.Cluster,
		Origin:  n.dir.desc.origin(),
		Self:    n.membership.self,
		Peers:   nodes,
		Listen:  n.cfg.Listen,
		Formats: wire.Formats{Min: member.Format, Max: member.Format},
		Handler: handler{n},
		Logger:  n.log,
	})
	if err != nil {
		return err
	}
	n.running.Go(n.runMember)
	n.running.Go(n.runSpace)
	return nil
}

// openMember finds out who this node is. An engine that is gone while the log
// remembers it must not be mistaken for a new one.
func (n *Node) openMember() error {
	id, known, err := member.LoadIdentity(n.engine)
	if err != nil {
		return err
	}
	decided := known && id.Role != wire.RoleUndecided
	if !decided && len(n.raftlog.Groups()) > 0 {
		return n.dir.incomplete("a log", "engine")
	}
	var self wire.Node
	var peers []kv.NodeID
	for _, node := range n.cfg.Cluster.nodes() {
		if node.Name == n.cfg.Name {
			self = node
			continue
		}
		peers = append(peers, node.ID)
	}
	self.Peer, self.Client = n.cfg.AdvertisePeer, n.cfg.AdvertiseClient
	self.Incarnation = kv.Incarnation(rand.Uint64() | 1)
	m, err := member.Open(member.Config{
		Cluster: n.dir.desc.Cluster, Self: self, Peers: peers, Groups: n.groups(self.ID),
		Engine: n.engine, Found: n.found(self.ID), Discard: n.dir.desc.discard(),
		Rejoins: n.cfg.Cluster.isRestored() && n.dir.desc.Restored == nil,
		Mutant:  n.cfg.lab.mutant, Logger: n.log,
	})
	if err != nil {
		return err
	}
	self.Incarnation = m.Identity().Incarnation
	n.membership.self, n.membership.member = self, m
	n.membership.restarted = decided
	return nil
}

// groups are the nodes of each shard that a node holds.
func (n *Node) groups(self kv.NodeID) [][]kv.NodeID {
	var list [][]kv.NodeID
	for _, s := range n.held(self) {
		list = append(list, s.Nodes)
	}
	return list
}

// held are the shards that the map places on a node.
func (n *Node) held(self kv.NodeID) []placement.Shard { return placedOn(n.shards, self) }

// placedOn are the shards that a map places on a node.
func placedOn(m placement.Map, self kv.NodeID) []placement.Shard {
	var list []placement.Shard
	for _, s := range append([]placement.Shard{m.System}, m.Shards...) {
		for _, node := range s.Nodes {
			if node == self {
				list = append(list, s)
			}
		}
	}
	return list
}

// found writes what a founder begins with.
func (n *Node) found(self kv.NodeID) func(engine.Batch) error {
	return func(b engine.Batch) error {
		if n.dir.desc.Restored != nil {
			return nil // it is all there
		}
		for _, s := range n.held(self) {
			if err := replica.Bootstrap(b, placement.NewDescriptor(s)); err != nil {
				return err
			}
			if s.ID == kv.SystemShard {
				if err := placement.StoreMap(b, n.shards); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// fail reports what the node can't go on after.
func (n *Node) fail(err error) {
	select {
	case n.failed <- err:
	default: // the first failure tells more than those it causes
	}
}

// wreck reports a failure of the engine after which it can't even be closed.
func (n *Node) wreck(err error) {
	n.wrecked.Store(true)
	n.fail(fmt.Errorf("engine: %w", err))
}

// Failed delivers the error that the node can't go on after, if there is one.
// The process should stop then.
func (n *Node) Failed() <-chan error { return n.failed }

// workers is how many threads suit the configuration and the machine.
func (n *Node) workers() int {
	if n.cfg.Workers > 0 {
		return n.cfg.Workers
	}
	return min(max(1, runtime.GOMAXPROCS(0)/2), len(n.shards.Shards)+1, 8)
}
