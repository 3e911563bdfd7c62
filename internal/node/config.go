package node

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/watch"
	"github.com/miruvor/miruvor/internal/wire"
	"github.com/miruvor/miruvor/internal/worker"
)

// Durability is what a write is on before it is answered.
type Durability string

const (
	// DurabilitySync: on stable storage of a quorum (fdatasync).
	DurabilitySync Durability = "sync"
	// DurabilityOS: in the page cache of a quorum. It survives killed
	// processes, not a power loss of a quorum.
	DurabilityOS Durability = "os"
	// DurabilityMemory: in the memory of a quorum. Nothing is kept on disk, and a
	// node that restarts rejoins as a replacement.
	DurabilityMemory Durability = "memory"
)

// Member is a node of a new cluster.
type Member struct {
	Name string
	// Peer is the address (host:port) that the other nodes reach it at.
	Peer string
}

// Cluster is what a cluster begins as. All its nodes are given the same.
type Cluster struct {
	Members []Member
	// Shards and SplitAt part the key space (placement.Layout).
	Shards  int
	SplitAt [][]byte
	// Replicas is how many nodes hold a shard at most, 0 for 3.
	Replicas int
	// Token tells clusters apart whose members are called the same; without
	// one their first addresses do. That of a cluster which begins with a backup
	// is made by Restore.
	Token string
}

// MembersMax bounds the nodes of a cluster.
const MembersMax = 64

// Config is what a node is started with.
type Config struct {
	Name string
	// Dir is the data directory. It is not used with DurabilityMemory.
	Dir string
	// Listen is the peer address to bind; AdvertisePeer and AdvertiseClient
	// are what others are told.
	Listen          string
	AdvertisePeer   string
	AdvertiseClient string
	Cluster         Cluster
	Durability      Durability
	ReadMode        replica.ReadMode
	// Workers is the number of threads, 0 for one that suits the machine.
	Workers        int
	Limits         kv.Limits
	RequestTimeout time.Duration
	Upkeep
	Version string
	Logger  *slog.Logger

	// lab is what only tests choose.
	lab lab
}

// Upkeep is how a node keeps what it stores within bounds.
type Upkeep struct {
	// AutoCompaction says when the cluster compacts itself. It is the leader of
	// the system shard that goes by it, so all nodes are given the same.
	AutoCompaction worker.AutoCompaction
	// QuotaBytes is the most that the engine may take on disk before the node
	// raises kv.AlarmNoSpace; 0 leaves it to the disk, of which a part is kept
	// free in any case.
	QuotaBytes int64
}

const (
	workersMax = 64
	// requestBytesCeil keeps the effect of a request, which is a little larger,
	// below what the log and the wire take.
	requestBytesCeil    = 4 << 20
	requestTimeoutMax   = 10 * time.Minute
	defaultReplicas     = 3
	defaultRequestLimit = 5 * time.Second
)

func (c Config) withDefaults() Config {
	c.Durability = cmp.Or(c.Durability, DurabilitySync)
	c.RequestTimeout = cmp.Or(c.RequestTimeout, defaultRequestLimit)
	c.AdvertisePeer = cmp.Or(c.AdvertisePeer, c.Listen)
	c.Limits = cmp.Or(c.Limits, kv.DefaultLimits)
	c.Cluster.Replicas = cmp.Or(c.Cluster.Replicas, defaultReplicas)
	c.Cluster.Shards = cmp.Or(c.Cluster.Shards, 1)
	if len(c.Cluster.Members) == 0 {
		c.Cluster.Members = []Member{{Name: c.Name, Peer: c.AdvertisePeer}}
	}
	if c.lab.fs == nil {
		c.lab.fs = vfs.Default
	}
	if c.lab.clock == nil {
		c.lab.clock = readClock
	}
	c.lab.bounds = cmp.Or(c.lab.bounds, replica.DefaultBounds())
	c.lab.watches = cmp.Or(c.lab.watches, watch.DefaultBounds())
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate lists all that is wrong with c, as kv.ErrInvalid with the name of
// the option and its bound.
func (c Config) Validate() error {
	c = c.withDefaults()
	var problems []error
	bad := func(format string, args ...any) {
		problems = append(problems, kv.Invalid(format, args...))
	}
	if !validName(c.Name) {
		bad("name: %q must be 1 to %d letters, digits, dots, dashes and underscores, "+
			"and not begin with a dot", c.Name, nameBytesMax)
	}
	if c.Dir == "" && c.Durability != DurabilityMemory {
		bad("data: durability %q needs a directory", c.Durability)
	}
	switch c.Durability {
	case DurabilitySync, DurabilityOS, DurabilityMemory:
	default:
		bad("durability: %q is not one of sync, os, memory", c.Durability)
	}
	if c.Limits.RequestBytesMax > requestBytesCeil {
		bad("max-request-bytes: %d, the most is %d", c.Limits.RequestBytesMax, requestBytesCeil)
	}
	if c.Workers < 0 || c.Workers > workersMax {
		bad("workers: %d is outside 0 to %d", c.Workers, workersMax)
	}
	if c.RequestTimeout < time.Millisecond || c.RequestTimeout > requestTimeoutMax {
		bad("request-timeout: %v is outside 1ms to %v", c.RequestTimeout, requestTimeoutMax)
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		bad("peer: %q is not host:port: %v", c.Listen, err)
	}
	problems = append(problems, c.Cluster.validate(c.Name)...)
	problems = append(problems, checkAutoCompaction(c.AutoCompaction)...)
	if c.QuotaBytes < 0 {
		bad("quota-backend-bytes: %d, it must not be negative", c.QuotaBytes)
	}
	return errors.Join(problems...)
}

const nameBytesMax = 64

// validName keeps names fit for paths, lists and labels.
func validName(name string) bool {
	if name == "" || len(name) > nameBytesMax || name[0] == '.' {
		return false
	}
	return !strings.ContainsFunc(name, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
			c == '.' || c == '-' || c == '_')
	})
}

func (cl Cluster) validate(self string) []error {
	var problems []error
	bad := func(format string, args ...any) {
		problems = append(problems, kv.Invalid(format, args...))
	}
	if len(cl.Members) > MembersMax {
		bad("initial-cluster: %d nodes, the most is %d", len(cl.Members), MembersMax)
	}
	names, peers := map[string]bool{}, map[string]string{}
	for _, m := range cl.Members {
		if !validName(m.Name) || names[m.Name] {
			bad("initial-cluster: the name %q is given twice, or not a name", m.Name)
		}
		names[m.Name] = true
		if other, ok := peers[m.Peer]; ok {
			bad("initial-cluster: %q and %q have the same address %s", other, m.Name, m.Peer)
		}
		peers[m.Peer] = m.Name
		if _, _, err := net.SplitHostPort(m.Peer); err != nil {
			bad("initial-cluster: %q of %q is not host:port", m.Peer, m.Name)
		}
	}
	if !names[self] {
		bad("initial-cluster: it does not name this node, %q", self)
	}
	if _, err := cl.layout().Build(); err != nil {
		problems = append(problems, err)
	}
	return problems
}

// nodes are the members in the order of their names, which gives them their
// ids, from 1.
func (cl Cluster) nodes() []wire.Node {
	members := slices.SortedFunc(slices.Values(cl.Members), func(a, b Member) int {
		return cmp.Compare(a.Name, b.Name)
	})
	nodes := make([]wire.Node, len(members))
	for i, m := range members {
		nodes[i] = wire.Node{ID: kv.NodeID(i + 1), Name: m.Name, Peer: m.Peer}
	}
	return nodes
}

func (cl Cluster) layout() placement.Layout {
	l := placement.Layout{Shards: cl.Shards, SplitAt: cl.SplitAt, Replicas: cl.Replicas}
	for _, n := range cl.nodes() {
		l.Nodes = append(l.Nodes, n.ID)
	}
	return l
}

// id is the cluster's: a hash of what its nodes agree on. Without a token the
// peer addresses are part of it, so that two clusters which are called the same
// never mix; with one they are not, so that a lost directory can be replaced
// after addresses have changed.
func (cl Cluster) id() kv.ClusterID {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\x00%s", cl.Token, cl.shape())
	for _, n := range cl.nodes() {
		if cl.Token == "" {
			fmt.Fprintf(h, "\x00%s", n.Peer)
		}
	}
	return kv.ClusterID(h.Sum64())
}

// shape says in one line what may not change over a cluster's life; addresses
// may.
func (cl Cluster) shape() string {
	var b strings.Builder
	b.WriteString("nodes")
	for _, n := range cl.nodes() {
		fmt.Fprintf(&b, " %q", n.Name)
	}
	fmt.Fprintf(&b, ", %d shards, %d replicas", cl.Shards, cl.Replicas)
	if cl.SplitAt != nil {
		b.WriteString(", split at")
		for _, key := range cl.SplitAt {
			b.WriteString(" " + hex.EncodeToString(key))
		}
	}
	return b.String()
}
