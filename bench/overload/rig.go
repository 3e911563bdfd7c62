package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/miruvor/miruvor/bench/cluster"
	"github.com/miruvor/miruvor/bench/load"
	"github.com/miruvor/miruvor/internal/httpclient"
)

// rig is the running cluster, and what loads and watches it.
type rig struct {
	opts     *options
	workload *load.Workload
	cluster  *cluster.Cluster
	flood    *load.Flood
	// status asks one node each how its shards stand.
	status []*httpclient.Client
	keeper *keeper
	probe  *probe
}

func newRig(o *options) (*rig, error) {
	w, err := o.workload()
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(o.dir, 0o700); err != nil {
		return nil, fmt.Errorf("-dir: %w", err)
	}
	r := &rig{opts: o, workload: w}
	if err := r.start(); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (r *rig) start() error {
	binary, err := r.opts.binary, error(nil)
	if binary == "" {
		if binary, err = cluster.BuildMiruvor(r.opts.dir); err != nil {
			return err
		}
	}
	r.cluster, err = cluster.Start(cluster.Miruvor{
		Binary: binary, SplitAt: load.SplitPoints(r.opts.shards), Flags: r.opts.flags,
	}, r.opts.dir, nodes)
	if err != nil {
		return err
	}
	if err := standBack(); err != nil { // the nodes run already, and keep theirs
		return err
	}
	for _, endpoint := range r.cluster.Endpoints {
		c, err := httpclient.New(httpclient.Options{Endpoints: []string{endpoint}})
		if err != nil {
			return err
		}
		r.status = append(r.status, c)
	}
	if r.probe, err = newProbe(r.cluster.Endpoints); err != nil {
		return err
	}
	if r.keeper, err = newKeeper(r.cluster.Endpoints, r.opts.leases); err != nil {
		return err
	}
	r.flood, err = load.NewFlood(r.cluster.Endpoints, r.opts.perServer)
	return err
}

func (r *rig) close() error {
	var errs []error
	if r.flood != nil {
		errs = append(errs, r.flood.Close())
	}
	if r.keeper != nil {
		errs = append(errs, r.keeper.close())
	}
	if r.probe != nil {
		errs = append(errs, r.probe.close())
	}
	for _, c := range r.status {
		c.Close()
	}
	if r.cluster != nil {
		errs = append(errs, r.cluster.Stop(), r.keepLogs())
	}
	return errors.Join(append(errs, os.RemoveAll(r.opts.dir))...)
}

// keepLogs saves what the nodes said, which tells of elections, beside the report.
func (r *rig) keepLogs() error {
	if r.opts.out == "" {
		return nil
	}
	logs, err := filepath.Glob(filepath.Join(r.opts.dir, r.cluster.System.Name(), "*.log"))
	if err == nil {
		err = os.MkdirAll(r.opts.out, 0o755)
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range logs {
		text, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(r.opts.out, filepath.Base(name)), text, 0o644)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// warmup is how long the closed loop runs before it counts, and quiet how long nothing is asked
// between two rates.
const (
	warmup = time.Second
	quiet  = time.Second
)

func (r *rig) run(ctx context.Context) (*report, error) {
	o := r.opts
	closed, err := load.NewLean(r.cluster.Endpoints, 2)
	if err != nil {
		return nil, err
	}
	defer closed.Close()
	if err := closed.Fill(o.shape); err != nil {
		return nil, err
	}
	rep := &report{Time: time.Now().UTC(), Options: o.describe(), Capacity: o.capacity}
	if rep.Quiet, err = r.probe.quiet(ctx); err != nil {
		return nil, err
	}
	if rep.Capacity == 0 {
		w := *r.workload
		w.Clients = o.shape.Clients
		nothing := func() error { return nil }
		window := load.Window{Warmup: warmup, Length: o.length, Begin: nothing, End: nothing}
		result, err := closed.Run(&w, o.shape, window)
		if err != nil {
			return nil, err
		}
		rep.Capacity = float64(result.Count) / result.Elapsed.Seconds()
	}
	fmt.Fprintf(os.Stderr, "what fits: %.0f a second\n", rep.Capacity)
	for _, factor := range o.factors {
		row, err := r.step(ctx, factor, rep)
		if err != nil {
			return nil, fmt.Errorf("at %g of what fits: %w", factor, err)
		}
		rep.Rows = append(rep.Rows, *row)
		fmt.Fprintln(os.Stderr, row.line())
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(quiet):
		}
	}
	return rep, nil
}

// step is one rate.
func (r *rig) step(ctx context.Context, factor float64, rep *report) (*row, error) {
	terms, err := r.terms(ctx)
	if err != nil {
		return nil, err
	}
	watching := startSampler(r.cluster)
	out, err := r.flood.Run(r.workload, r.opts.shape, load.Pace{
		PerSecond: factor * rep.Capacity, Length: r.opts.length, Patience: r.opts.patience,
	})
	resident := watching.stop()
	if err != nil {
		return nil, err
	}
	recovery, err := r.probe.recovery(ctx, rep.Quiet)
	if err != nil {
		return nil, err
	}
	after, err := r.terms(ctx)
	if err != nil {
		return nil, err
	}
	row := newRow(factor, out)
	row.ResidentBytes, row.RecoverySeconds = resident, recovery.Seconds()
	for shard, term := range after {
		row.Elections += int(term - terms[shard])
	}
	row.LeasesLost = r.keeper.lost()
	return row, nil
}

// terms are the highest term of each shard that any node knows.
func (r *rig) terms(ctx context.Context) (map[uint32]uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	terms := map[uint32]uint64{}
	for _, c := range r.status {
		st, err := c.Status(ctx)
		if err != nil {
			return nil, err
		}
		for _, s := range st.Shards {
			terms[uint32(s.ID)] = max(terms[uint32(s.ID)], s.Term)
		}
	}
	return terms, nil
}
