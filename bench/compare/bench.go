package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/miruvor/miruvor/bench/cluster"
	"github.com/miruvor/miruvor/bench/load"
	"github.com/miruvor/miruvor/bench/report"
)

// fillMax is how long new clusters may take until they have leaders.
const fillMax = time.Minute

// bench is a comparison under way.
type bench struct {
	options   *options
	shape     *load.Shape
	workloads []load.Workload
	servers   []*server
	report    *report.Report
}

func newBench(o *options) (*bench, error) {
	b := &bench{options: o}
	b.shape = &load.Shape{
		Keys:       load.NewKeys(o.shape.keys),
		ValueBytes: o.shape.valueBytes,
		Clients:    o.shape.clients,
		RangeKeys:  o.shape.rangeKeys,
		Watchers:   o.shape.watchers,
	}
	var err error
	b.workloads, err = o.workloads(b.shape)
	return b, err
}

// close stops the servers, and removes their data.
func (b *bench) close() error {
	var errs []error
	for _, s := range b.servers {
		if s.client != nil {
			errs = append(errs, s.client.Close())
		}
		errs = append(errs, s.Stop())
	}
	return errors.Join(append(errs, os.RemoveAll(b.options.dir))...)
}

func (b *bench) run(ctx context.Context) error {
	if err := os.Mkdir(b.options.dir, 0o700); err != nil {
		return fmt.Errorf("--dir must not exist: %w", err)
	}
	host, err := newHost(b.options.dir)
	if err != nil {
		return err
	}
	b.report = newReport(b.options, host, b.workloads)
	for _, name := range b.options.systems {
		s, err := startServer(b.options, name, b.shape)
		if s != nil {
			b.servers = append(b.servers, s)
		}
		if err != nil {
			return err
		}
	}
	if err := b.rounds(ctx); err != nil {
		return err
	}
	if err := write(b.report, b.options.out); err != nil || b.options.profiles == "" {
		return err
	}
	return b.profile(ctx)
}

func (b *bench) rounds(ctx context.Context) error {
	for round := range b.options.measured.rounds {
		for i := range b.workloads {
			for j, s := range b.servers {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				sample, err := b.slice(s, &b.workloads[i])
				if err != nil {
					return fmt.Errorf("%s of %s: %w", b.workloads[i].Name, s.System.Name(), err)
				}
				b.report.Rows[i].Results[j].Add(sample)
				b.progress(round, b.workloads[i].Name, s.System.Name(), sample)
			}
		}
	}
	return nil
}

func (b *bench) progress(round int, row, system string, s report.Sample) {
	fmt.Fprintf(os.Stderr, "%d/%d  %-6s %-8s ", round+1, b.options.measured.rounds, row, system)
	fmt.Fprintf(os.Stderr, "%9.0f/s  p50 %7.0f µs  p99 %7.0f µs  server %6.1f µs\n",
		s.PerSecond, s.P50us, s.P99us, s.ServerCPUus)
}

// slice is one workload on one system.
func (b *bench) slice(s *server, w *load.Workload) (report.Sample, error) {
	var used usage
	window := load.Window{
		Warmup: b.options.measured.warmup,
		Length: b.options.measured.length,
		Begin:  func() error { return used.begin(s.Cluster) },
		End:    func() error { return used.end(s.Cluster) },
	}
	result, err := s.client.Run(w, b.shape, window)
	if err != nil {
		return report.Sample{}, err
	}
	if result.Count == 0 {
		return report.Sample{}, errors.New("no answer in the window")
	}
	count := float64(result.Count)
	other := used.machine - used.server - result.ClientCPU
	return report.Sample{
		PerSecond:   count / result.Elapsed.Seconds(),
		P50us:       micros(result.Latency.Quantile(0.50)),
		P99us:       micros(result.Latency.Quantile(0.99)),
		ServerCPUus: micros(used.server) / count,
		ClientCPUus: micros(result.ClientCPU) / count,
		OtherCPUs:   max(0, other.Seconds()/result.Elapsed.Seconds()),
	}, nil
}

// fill puts all keys, once the cluster has leaders.
func (s *server) fill(shape *load.Shape) error {
	deadline := time.Now().Add(fillMax)
	for {
		err := s.client.Fill(shape)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(time.Second)
	}
}

// usage is CPU time between two moments.
type usage struct {
	server  time.Duration
	machine time.Duration
}

func (u *usage) begin(c *cluster.Cluster) error {
	server, machine, err := read(c)
	u.server, u.machine = -server, -machine
	return err
}

func (u *usage) end(c *cluster.Cluster) error {
	server, machine, err := read(c)
	u.server, u.machine = u.server+server, u.machine+machine
	return err
}

func read(c *cluster.Cluster) (server, machine time.Duration, err error) {
	if server, err = c.CPU(); err != nil {
		return 0, 0, err
	}
	machine, err = cluster.MachineCPU()
	return server, machine, err
}

func micros(d time.Duration) float64 {
	return float64(d) / float64(time.Microsecond)
}
