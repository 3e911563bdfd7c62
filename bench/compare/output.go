package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/miruvor/miruvor/bench/load"
	"github.com/miruvor/miruvor/bench/report"
)

func newReport(o *options, host report.Host, workloads []load.Workload) *report.Report {
	now := time.Now().UTC().Truncate(time.Second)
	r := &report.Report{Time: now, Host: host, Systems: o.systems}
	r.Options = report.Options{
		Rounds:        o.measured.rounds,
		SliceSeconds:  o.measured.length.Seconds(),
		WarmupSeconds: o.measured.warmup.Seconds(),
		Nodes:         nodes,
		Shards:        o.shards,
		Clients:       o.shape.clients,
		Connections:   nodes * o.shape.perEndpoint,
		Client:        o.client,
		Keys:          o.shape.keys,
		KeyBytes:      len(load.NewKeys(1)[0]),
		ValueBytes:    o.shape.valueBytes,
	}
	for _, w := range workloads {
		r.Rows = append(r.Rows, report.Row{
			Name:    w.Name,
			Title:   w.Title,
			Unit:    cmp.Or(w.Unit, "operation"),
			Results: make([]report.Result, len(o.systems)),
		})
	}
	return r
}

// newHost looks at the machine, and how fast the disk below dir is.
func newHost(dir string) (report.Host, error) {
	fsync, err := fsyncTime(dir)
	return report.Host{
		Processor:  processor(),
		CPUs:       runtime.NumCPU(),
		System:     runtime.GOOS + "/" + runtime.GOARCH,
		Go:         runtime.Version(),
		FsyncP50us: micros(fsync),
	}, err
}

// processor is the name that Linux has for it.
func processor() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range bytes.Lines(info) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if string(bytes.TrimSpace(name)) == "model name" {
			return string(bytes.TrimSpace(value))
		}
	}
	return "unknown processor"
}

// fsyncTime is the median of appending a page to a file and syncing it.
func fsyncTime(dir string) (time.Duration, error) {
	const pageBytes, tries = 4096, 101
	file, err := os.CreateTemp(dir, "fsync")
	if err != nil {
		return 0, err
	}
	times := make([]time.Duration, tries)
	for i := range times {
		start := time.Now()
		if _, err := file.Write(make([]byte, pageBytes)); err != nil {
			return 0, errors.Join(err, file.Close())
		}
		if err := file.Sync(); err != nil {
			return 0, errors.Join(err, file.Close())
		}
		times[i] = time.Since(start)
	}
	slices.Sort(times)
	return times[tries/2], file.Close()
}

// write prints the table, and leaves all three forms in a directory, if there is one.
func write(r *report.Report, dir string) error {
	var table, text, plot bytes.Buffer
	err := errors.Join(r.WriteTable(&table), r.WriteJSON(&text), r.WriteSVG(&plot))
	if err != nil {
		return err
	}
	fmt.Print(table.String())
	if dir == "" {
		return nil
	}
	return errors.Join(
		os.MkdirAll(dir, 0o755),
		os.WriteFile(filepath.Join(dir, "compare.txt"), table.Bytes(), 0o644),
		os.WriteFile(filepath.Join(dir, "compare.json"), text.Bytes(), 0o644),
		os.WriteFile(filepath.Join(dir, "compare.svg"), plot.Bytes(), 0o644),
	)
}
