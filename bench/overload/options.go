package main

import (
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miruvor/miruvor/bench/load"
)

// options are the command's flags.
type options struct {
	binary    string
	flags     []string // of the nodes, further ones
	dir, out  string
	row       string
	factors   []float64
	length    time.Duration
	patience  time.Duration
	shards    int
	leases    int
	perServer int // connections
	shape     *load.Shape
	capacity  float64 // 0 is measured
}

const nodes = 3

func parse(args []string) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("overload", flag.ContinueOnError)
	factors := f.String("factors", "0.25,0.5,0.75,1,1.5,2,4,7,10", "`rates`, in parts of what fits")
	flags := f.String("miruvor-flags", "", "further `flags` of miruvor start, parted by spaces")
	keys := f.Int("keys", 10_000, "`keys`, of 24 bytes")
	valueBytes := f.Int("value-bytes", 256, "`bytes` of a value")
	rangeKeys := f.Int("range-keys", 100, "`keys` of a range")
	clients := f.Int("clients", 512, "`clients` in a closed loop, who find out what fits")
	f.StringVar(&o.binary, "miruvor", "", "`path` of miruvor, else it is built")
	f.StringVar(&o.dir, "dir", "overload-data", "new `directory` for the nodes; removed")
	f.StringVar(&o.out, "out", "", "`directory` for overload.txt, .json and .svg, and the nodes' logs")
	f.StringVar(&o.row, "row", "put", "put, hot, get, sget, mixed, range or txn")
	f.DurationVar(&o.length, "length", 8*time.Second, "`time` at each rate")
	f.DurationVar(&o.patience, "patience", 5*time.Second, "`time` after which a call is given up")
	f.IntVar(&o.shards, "shards", 1, "`shards`")
	f.IntVar(&o.leases, "leases", 60, "`leases` that are kept alive")
	f.IntVar(&o.perServer, "connections", 8, "`connections` to each node")
	f.Float64Var(&o.capacity, "capacity", 0, "what fits, in `requests` a second, else it is measured")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("no argument is expected: %q", f.Args())
	}
	o.flags = strings.Fields(*flags)
	o.shape = &load.Shape{
		Keys: load.NewKeys(*keys), ValueBytes: *valueBytes, Clients: *clients,
		RangeKeys: *rangeKeys, Watchers: 1,
	}
	for text := range strings.SplitSeq(*factors, ",") {
		factor, err := strconv.ParseFloat(text, 64)
		if err != nil || factor <= 0 || factor > 100 {
			return nil, fmt.Errorf("-factors: %q is no number over 0 and up to 100", text)
		}
		o.factors = append(o.factors, factor)
	}
	return o, nil
}

// workload is that of the flag row.
func (o *options) workload() (*load.Workload, error) {
	all := load.Workloads(o.shape)
	at := slices.IndexFunc(all, func(w load.Workload) bool {
		return w.Name == o.row && w.Watchers == 0
	})
	if at < 0 {
		return nil, fmt.Errorf("-row: no workload %q", o.row)
	}
	return &all[at], nil
}
