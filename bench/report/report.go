// Package report holds what a comparison measured, and writes it: a table for people, JSON for
// programs, a plot (SVG) for pages. It measures nothing.
package report

import (
	"encoding/json"
	"io"
	"slices"
	"time"
)

// Report is a whole comparison.
type Report struct {
	Time    time.Time `json:"time"`
	Host    Host      `json:"host"`
	Options Options   `json:"options"`
	Systems []string  `json:"systems"` // in the order of columns
	Rows    []Row     `json:"rows"`
}

// Host is what it ran on.
type Host struct {
	Processor  string  `json:"processor"`
	CPUs       int     `json:"cpus"`
	System     string  `json:"system"`
	Go         string  `json:"go"`
	FsyncP50us float64 `json:"fsync_p50_us"` // of the data directory, a page each
}

// Options are how it ran.
type Options struct {
	Rounds        int     `json:"rounds"`
	SliceSeconds  float64 `json:"slice_seconds"`
	WarmupSeconds float64 `json:"warmup_seconds"`
	Nodes         int     `json:"nodes"`
	Shards        int     `json:"miruvor_shards"`
	Clients       int     `json:"clients"`
	Connections   int     `json:"connections"`
	Client        string  `json:"client"`
	Keys          int     `json:"keys"`
	KeyBytes      int     `json:"key_bytes"`
	ValueBytes    int     `json:"value_bytes"`
}

// Row is a workload.
type Row struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	Unit  string `json:"unit"` // what is counted
	// Results are in the order of Report.Systems.
	Results []Result `json:"results"`
}

// Result is what one system did on a workload.
type Result struct {
	Median Sample   `json:"median"` // of each figure by itself
	Rounds []Sample `json:"rounds"`
}

// Sample is one slice, or medians of several. CPU is user and system time.
type Sample struct {
	PerSecond   float64 `json:"per_second"`
	P50us       float64 `json:"p50_us"`
	P99us       float64 `json:"p99_us"`
	ServerCPUus float64 `json:"server_cpu_us"` // of all nodes, per operation
	ClientCPUus float64 `json:"client_cpu_us"` // of the load, per operation
	// OtherCPUs is how many processors neither the loaded system nor the load kept busy.
	OtherCPUs float64 `json:"other_cpus"`
}

// Add puts a slice in a row's result.
func (r *Result) Add(s Sample) {
	r.Rounds = append(r.Rounds, s)
	r.Median = Sample{
		PerSecond:   r.median(func(s Sample) float64 { return s.PerSecond }),
		P50us:       r.median(func(s Sample) float64 { return s.P50us }),
		P99us:       r.median(func(s Sample) float64 { return s.P99us }),
		ServerCPUus: r.median(func(s Sample) float64 { return s.ServerCPUus }),
		ClientCPUus: r.median(func(s Sample) float64 { return s.ClientCPUus }),
		OtherCPUs:   r.median(func(s Sample) float64 { return s.OtherCPUs }),
	}
}

func (r *Result) median(figure func(Sample) float64) float64 {
	all := make([]float64, len(r.Rounds))
	for i, s := range r.Rounds {
		all[i] = figure(s)
	}
	slices.Sort(all)
	middle := len(all) / 2
	if len(all)%2 == 1 {
		return all[middle]
	}
	return (all[middle-1] + all[middle]) / 2
}

// WriteJSON writes all of it, rounds included.
func (r *Report) WriteJSON(to io.Writer) error {
	encoder := json.NewEncoder(to)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}
