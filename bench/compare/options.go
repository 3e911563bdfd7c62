package main

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miruvor/miruvor/bench/load"
)

// options are the command's flags.
type options struct {
	systems  []string
	rows     []string
	measured measured
	shape    shape
	binaries map[string]string // by system; "" is built
	flags    []string          // Miruvor's, further ones
	shards   int
	client   string
	dir      string
	out      string
	profiles string
}

// measured is how long.
type measured struct {
	rounds int
	length time.Duration
	warmup time.Duration
}

// shape is what is asked, and by how many.
type shape struct {
	keys        int
	valueBytes  int
	clients     int
	rangeKeys   int
	watchers    int
	perEndpoint int // connections
}

const (
	nodes      = 3
	clientLean = "lean"
	clientV3   = "clientv3"
)

var systemNames = []string{"miruvor", "etcd"}

func parse(args []string) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("compare", flag.ContinueOnError)
	systems := f.String("systems", "miruvor,etcd", "what to measure")
	rows := f.String("rows", "", "workloads, else all:\n"+
		"put, put1, hot, get, sget, mixed, range, txn, watch")
	seconds := f.Float64("seconds", 5, "`length` of a slice's window")
	warmup := f.Float64("warmup", 1, "`seconds` of load before the window")
	miruvor := f.String("miruvor", "", "`path` of miruvor, else it is built")
	etcd := f.String("etcd", "", "`path` of etcd, else it is built")
	flags := f.String("miruvor-flags", "", "further `flags` of miruvor start, parted by spaces")
	f.IntVar(&o.measured.rounds, "rounds", 5, "slices of each workload and system")
	f.IntVar(&o.shards, "shards", 1, "Miruvor's `shards`")
	f.IntVar(&o.shape.clients, "clients", 64, "`clients` that ask at once")
	f.IntVar(&o.shape.keys, "keys", 10_000, "`keys`, of 24 bytes")
	f.IntVar(&o.shape.valueBytes, "value-bytes", 256, "`bytes` of a value")
	f.IntVar(&o.shape.rangeKeys, "range-keys", 100, "`keys` of a range")
	f.IntVar(&o.shape.watchers, "watchers", 1000, "`watchers` of the row watch")
	f.IntVar(&o.shape.perEndpoint, "connections", 2, "`connections` to each node")
	f.StringVar(&o.client, "client", clientLean, "lean, or clientv3: etcd's library, as a check")
	f.StringVar(&o.dir, "dir", "compare-data", "new `directory` on the disk to measure; removed")
	f.StringVar(&o.out, "out", "", "`directory` for compare.txt, .json and .svg")
	f.StringVar(&o.profiles, "profiles", "",
		"`directory` for CPU profiles of all nodes, from one more slice of each workload")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("no argument is expected: %q", f.Args())
	}
	o.systems = strings.Split(*systems, ",")
	if *rows != "" {
		o.rows = strings.Split(*rows, ",")
	}
	o.measured.length = time.Duration(*seconds * float64(time.Second))
	o.measured.warmup = time.Duration(*warmup * float64(time.Second))
	o.binaries = map[string]string{"miruvor": *miruvor, "etcd": *etcd}
	o.flags = strings.Fields(*flags)
	return o, o.check()
}

func (o *options) check() error {
	for _, s := range o.systems {
		if !slices.Contains(systemNames, s) {
			return fmt.Errorf("--systems: %q is none of %v", s, systemNames)
		}
	}
	for _, c := range []struct {
		flag            string
		value, min, max int
	}{
		{"rounds", o.measured.rounds, 1, 1000},
		{"seconds, in ms", int(o.measured.length.Milliseconds()), 100, 600_000},
		{"shards", o.shards, 1, 1024},
		{"clients", o.shape.clients, 1, 10_000},
		{"keys", o.shape.keys, 2, 10_000_000},
		{"value-bytes", o.shape.valueBytes, 0, 1 << 19},
		{"range-keys", o.shape.rangeKeys, 1, o.shape.keys - 1},
		{"watchers", o.shape.watchers, 1, 100_000},
		{"connections", o.shape.perEndpoint, 1, 1000},
	} {
		if c.value < c.min || c.value > c.max {
			return fmt.Errorf("--%s: %d is not in %d to %d", c.flag, c.value, c.min, c.max)
		}
	}
	if o.client != clientLean && o.client != clientV3 {
		return fmt.Errorf("--client: %q is neither %s nor %s", o.client, clientLean, clientV3)
	}
	return nil
}

// workloads are those that --rows names, in its order.
func (o *options) workloads(s *load.Shape) ([]load.Workload, error) {
	all := load.Workloads(s)
	if len(o.rows) == 0 {
		return all, nil
	}
	var chosen []load.Workload
	for _, name := range o.rows {
		at := slices.IndexFunc(all, func(w load.Workload) bool { return w.Name == name })
		if at < 0 {
			return nil, fmt.Errorf("--rows: no workload %q", name)
		}
		chosen = append(chosen, all[at])
	}
	return chosen, nil
}
