package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/node"
	"github.com/miruvor/miruvor/internal/replica"
)

// dataDefault is where data goes, in a directory for each node.
const dataDefault = "miruvor-data"

// The bounds of what a request may be made to hold.
const (
	requestBytesFloor = 1 << 10
	requestBytesCeil  = 4 << 20
	txnOpsCeil        = 100_000
)

// startOptions are the settings of a node, as given.
type startOptions struct {
	name, data string
	addresses  addresses
	founding   founding
	serving    serving
	etcd       etcdServing
	compacting compacting
	logging    logging
}

// founding is what a cluster begins as.
type founding struct {
	members  memberList
	token    string
	shards   int
	splitAt  keyList
	replicas int
}

// serving is how requests are answered.
type serving struct {
	durability, readMode *choice
	requestTimeout       time.Duration
	requestBytesMax      int
	txnOpsMax            int
	quotaBytes           int64
	pprof                bool
}

// logging is what is logged, and how.
type logging struct {
	level, format *choice
	// least is the level in force.
	least slog.LevelVar
}

// addStartFlags adds the settings of a node to cmd, in the order in which the
// help shows them.
func addStartFlags(cmd *cobra.Command) *startOptions {
	o := &startOptions{}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.name, "name", "default", "name of the node, no other's in the cluster")
	flags.StringVar(&o.data, "data", "", "data directory, else "+dataDefault+"/NAME")
	flags.StringVar(&o.addresses.client, "client", "127.0.0.1:2379",
		"host:port to listen on for clients; without a host it is\nevery interface")
	flags.StringVar(&o.addresses.peer, "peer", "127.0.0.1:2380",
		"host:port to listen on for the other nodes")
	flags.StringVar(&o.addresses.advertiseClient, "advertise-client", "",
		"host:port where clients reach the node, else --client")
	flags.StringVar(&o.addresses.advertisePeer, "advertise-peer", "",
		"host:port where nodes reach it, else as the members say")
	o.founding.addFlags(cmd)
	o.serving.addFlags(cmd)
	o.etcd.addFlags(cmd)
	o.compacting.addFlags(cmd)
	o.logging.addFlags(cmd, "info")
	return o
}

func (f *founding) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.Var(&f.members, "initial-cluster",
		"n1=host:port,n2=host:port: all nodes of a new cluster, with\n"+
			"their peer addresses, the same on each; else this one alone")
	flags.StringVar(&f.token, "initial-cluster-token", "",
		"tells clusters apart whose nodes have the same names")
	flags.IntVar(&f.shards, "initial-shards", 1, "shards that a new cluster begins with")
	flags.Var(&f.splitAt, "split-at",
		"a,b: the keys that part these shards, percent-encoded,\n"+
			"ascending; else even parts of all byte strings")
	flags.IntVar(&f.replicas, "replicas", 3, "nodes that hold a copy of a shard, at most")
}

func (s *serving) addFlags(cmd *cobra.Command) {
	s.durability = newChoice("sync", "os", "memory")
	s.readMode = newChoice("lease", "quorum")
	addChoice(cmd, s.durability, "durability", "",
		"a write is answered once a majority has it: on disk, in\n"+
			"the operating system's cache, or in memory")
	addChoice(cmd, s.readMode, "read-mode", "",
		"reads trust that clocks run about equally fast, or ask\na majority")
	flags := cmd.Flags()
	flags.DurationVar(&s.requestTimeout, "request-timeout", 5*time.Second,
		"the longest that a request may take")
	flags.IntVar(&s.requestBytesMax, "max-request-bytes", kv.DefaultLimits.RequestBytesMax,
		"the most bytes of keys and values in a request")
	flags.IntVar(&s.txnOpsMax, "max-txn-ops", kv.DefaultLimits.OpsMax,
		"the most operations in a transaction")
	flags.Int64Var(&s.quotaBytes, "quota-backend-bytes", 0,
		"the most that the storage may take; above it the cluster\n"+
			"refuses to grow. 0 leaves it to the disk")
	flags.BoolVar(&s.pprof, "pprof", false, "serve profiles at /debug/pprof, to clients")
}

func (l *logging) addFlags(cmd *cobra.Command, level string) {
	l.level = newChoice("debug", "info", "warn", "error")
	l.level.value = level
	l.format = newChoice("text", "json")
	addChoice(cmd, l.level, "log-level", "", "the least that is logged, to standard error")
	addChoice(cmd, l.format, "log-format", "", "form of the log")
}

// logger logs to w, from the level that was chosen on.
func (l *logging) logger(w io.Writer) *slog.Logger {
	l.least.Set(l.chosen())
	options := &slog.HandlerOptions{Level: &l.least}
	if l.format.value == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

func (l *logging) chosen() slog.Level {
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo,
		"warn": slog.LevelWarn, "error": slog.LevelError,
	}
	return levels[l.level.value]
}

// config is the instance that the settings describe, or all that is wrong with
// them.
func (o *startOptions) config() (instanceConfig, error) {
	problems := append(o.serving.check(), o.etcd.check()...)
	problems = append(problems, o.addresses.complete(o.founding.peerOf(o.name))...)
	auto, err := o.compacting.auto()
	if err != nil {
		problems = append(problems, err)
	}
	members, shards := o.founding.members, o.founding.shards
	if len(members) == 0 && o.addresses.advertisePeer != "" {
		members = memberList{{Name: o.name, Peer: o.addresses.advertisePeer}}
	}
	if len(o.founding.splitAt) > 0 && shards == 1 {
		shards = len(o.founding.splitAt) + 1
	}
	c := instanceConfig{
		listen: o.addresses.client,
		pprof:  o.serving.pprof,
		grpc:   o.etcd.options(),

		progressInterval: o.etcd.progressInterval,
		node: node.Config{
			Name:            o.name,
			Dir:             cmp.Or(o.data, filepath.Join(dataDefault, o.name)),
			Listen:          o.addresses.peer,
			AdvertisePeer:   o.addresses.advertisePeer,
			AdvertiseClient: o.addresses.advertiseClient,
			Cluster: node.Cluster{
				Members: members, Shards: shards, SplitAt: o.founding.splitAt,
				Replicas: o.founding.replicas, Token: o.founding.token,
			},
			Durability:     node.Durability(o.serving.durability.value),
			ReadMode:       o.serving.mode(),
			Limits:         o.serving.limits(),
			RequestTimeout: o.serving.requestTimeout,
			Upkeep:         node.Upkeep{AutoCompaction: auto, QuotaBytes: o.serving.quotaBytes},
			Version:        version(),
		},
	}
	if len(problems) == 0 {
		return c, c.node.Validate()
	}
	return c, errors.Join(problems...)
}

// zeros refuses what the layers below take for "not given". A setting that
// can't be read is 0 too, so it is for settings that were all read.
func (o *startOptions) zeros() error {
	var problems []error
	for name, zero := range map[string]bool{
		"initial-shards":  o.founding.shards == 0,
		"replicas":        o.founding.replicas == 0,
		"request-timeout": o.serving.requestTimeout == 0,
	} {
		if zero {
			problems = append(problems, fmt.Errorf("--%s is 0, it must be more", name))
		}
	}
	return errors.Join(problems...)
}

// peerOf is the address in the list of members, "" if it has none.
func (f *founding) peerOf(name string) string {
	for _, member := range f.members {
		if member.Name == name {
			return member.Peer
		}
	}
	return ""
}

func (s *serving) check() []error {
	var problems []error
	within := func(flag string, value, least, most int) {
		if value < least || value > most {
			problems = append(problems,
				fmt.Errorf("--%s is %d, it must be from %d to %d", flag, value, least, most))
		}
	}
	within("max-request-bytes", s.requestBytesMax, requestBytesFloor, requestBytesCeil)
	within("max-txn-ops", s.txnOpsMax, 1, txnOpsCeil)
	return problems
}

func (s *serving) limits() kv.Limits {
	limits := kv.DefaultLimits
	limits.RequestBytesMax, limits.OpsMax = s.requestBytesMax, s.txnOpsMax
	return limits
}

func (s *serving) mode() replica.ReadMode {
	if s.readMode.value == "quorum" {
		return replica.ReadQuorum
	}
	return replica.ReadLease
}
