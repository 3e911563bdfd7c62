package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/miruvor/miruvor/bench/load"
)

// report is a whole measurement.
type report struct {
	Time    time.Time   `json:"time"`
	Options description `json:"options"`
	// Capacity is what fits, in requests a second; Quiet the longest put on a quiet cluster.
	Capacity float64       `json:"capacity_per_second"`
	Quiet    time.Duration `json:"quiet_put_ns"`
	Rows     []row         `json:"rows"`
}

// description is how it was measured.
type description struct {
	Row         string   `json:"row"`
	CPUs        int      `json:"cpus"`
	Nodes       int      `json:"nodes"`
	Shards      int      `json:"shards"`
	Keys        int      `json:"keys"`
	ValueBytes  int      `json:"value_bytes"`
	Connections int      `json:"connections_per_node"`
	Leases      int      `json:"leases"`
	Clients     int      `json:"clients"`
	Seconds     float64  `json:"seconds"`
	Patience    float64  `json:"patience_seconds"`
	Flags       []string `json:"flags,omitempty"`
}

// row is one rate. Rates are a second.
type row struct {
	Factor          float64          `json:"factor"`
	Offered         float64          `json:"offered"`
	Served          float64          `json:"served"`
	Refused         float64          `json:"refused"`
	Late            float64          `json:"late"`
	Failed          float64          `json:"failed"`
	P50ms           float64          `json:"p50_ms"`
	P99ms           float64          `json:"p99_ms"`
	RefusalP99ms    float64          `json:"refusal_p99_ms"`
	LagP99ms        float64          `json:"lag_p99_ms"`
	ResidentBytes   int64            `json:"resident_bytes"`
	Elections       int              `json:"elections"`
	LeasesLost      int              `json:"leases_lost"`
	RecoverySeconds float64          `json:"recovery_seconds"`
	Failures        map[string]int64 `json:"failures,omitempty"`
}

func (o *options) describe() description {
	return description{
		Row: o.row, CPUs: runtime.NumCPU(), Nodes: nodes, Shards: o.shards,
		Keys: len(o.shape.Keys), ValueBytes: o.shape.ValueBytes, Connections: o.perServer,
		Leases: o.leases, Clients: o.shape.Clients, Seconds: o.length.Seconds(), Patience: o.patience.Seconds(),
		Flags: o.flags,
	}
}

func newRow(factor float64, o *load.Outcome) *row {
	rate := func(n int64) float64 { return float64(n) / o.Elapsed.Seconds() }
	ms := func(h *load.Histogram, q float64) float64 { return h.Quantile(q).Seconds() * 1000 }
	return &row{
		Factor: factor, Offered: rate(o.Offered), Served: rate(o.Served),
		Refused: rate(o.Refused), Late: rate(o.Late), Failed: rate(o.Failed),
		P50ms: ms(&o.Latency, 0.5), P99ms: ms(&o.Latency, 0.99),
		RefusalP99ms: ms(&o.Refusal, 0.99), LagP99ms: ms(&o.Lag, 0.99), Failures: o.Failures,
	}
}

var titles = []string{
	"load", "offered/s", "served/s", "refused/s", "late/s", "failed/s", "p50", "p99",
	"refusal p99", "lag p99", "memory", "elections", "leases lost", "recovery",
}

func (r *row) cells() []string {
	count := func(n float64) string { return fmt.Sprintf("%.0f", n) }
	ms := func(n float64) string { return fmt.Sprintf("%.1f ms", n) }
	return []string{
		fmt.Sprintf("%g x", r.Factor), count(r.Offered), count(r.Served), count(r.Refused),
		count(r.Late), count(r.Failed), ms(r.P50ms), ms(r.P99ms), ms(r.RefusalP99ms), ms(r.LagP99ms),
		fmt.Sprintf("%d MiB", r.ResidentBytes>>20), fmt.Sprint(r.Elections),
		fmt.Sprint(r.LeasesLost), fmt.Sprintf("%.2f s", r.RecoverySeconds),
	}
}

// line is the row with the names of its cells.
func (r *row) line() string {
	cells := r.cells()
	for i, title := range titles {
		cells[i] = title + " " + cells[i]
	}
	var text strings.Builder
	text.WriteString(strings.Join(cells, ", "))
	for failure, n := range r.Failures {
		text.WriteString(fmt.Sprintf("\n  %d times: %s", n, failure))
	}
	return text.String()
}

// table writes the figures for people.
func (r *report) table(to io.Writer) error {
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, strings.Join(titles, "\t")+"\t")
	for i := range r.Rows {
		fmt.Fprintln(t, strings.Join(r.Rows[i].cells(), "\t")+"\t")
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(to, "\n%s\n", r.caption())
	return err
}

func (r *report) caption() string {
	o := r.Options
	return fmt.Sprintf("%s: %d nodes, %d shards, values of %d bytes, %d connections to each node.\n"+
		"1 x is %.0f a second, which %d clients in a closed loop got. A call is late after %g s.\n"+
		"%d CPUs for the nodes and the load together; %d leases of %d s were kept alive.",
		o.Row, o.Nodes, o.Shards, o.ValueBytes, o.Connections, r.Capacity, o.Clients,
		o.Patience, o.CPUs, o.Leases, leaseSeconds)
}

// write puts the table on a writer, and everything into a directory, if one is named.
func (r *report) write(dir string, to io.Writer) error {
	if err := r.table(to); err != nil || dir == "" {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, form := range map[string]func(io.Writer) error{
		"overload.txt":  r.table,
		"overload.json": r.json,
		"overload.svg":  r.svg,
	} {
		if err := writeFile(filepath.Join(dir, name), form); err != nil {
			return err
		}
	}
	return nil
}

func (r *report) json(to io.Writer) error {
	e := json.NewEncoder(to)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func writeFile(name string, form func(io.Writer) error) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() {
		if closed := f.Close(); err == nil {
			err = closed
		}
	}()
	return form(f)
}
