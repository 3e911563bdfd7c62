package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func testReport() *report {
	r := &report{Capacity: 1000, Options: description{Row: "put", Nodes: nodes, Clients: 7}}
	for _, factor := range []float64{0.5, 1, 10} {
		r.Rows = append(r.Rows, row{
			Factor: factor, Offered: 1000 * factor, Served: min(1000, 1000*factor),
			Refused: max(0, 1000*factor-1000), P50ms: 10 * factor, P99ms: 30 * factor,
			ResidentBytes: 300 << 20,
		})
	}
	return r
}

func TestReport(t *testing.T) {
	dir := t.TempDir()
	var table strings.Builder
	if err := testReport().write(dir, &table); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"10 x", "9000", "300 MiB", "1 x is 1000 a second", "7 clients"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &table)
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "overload.json"))
	if err != nil {
		t.Fatal(err)
	}
	var back report
	if err := json.Unmarshal(data, &back); err != nil || len(back.Rows) != 3 ||
		back.Rows[2].Refused != 9000 {
		t.Errorf("JSON: %v, %+v", err, back.Rows)
	}
	plot, err := os.Open(filepath.Join(dir, "overload.svg"))
	if err != nil {
		t.Fatal(err)
	}
	defer plot.Close()
	lines := 0
	for decoder := xml.NewDecoder(plot); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "polyline" {
			lines++
		}
	}
	if lines != 14 { // of each of seven curves, and beside its name
		t.Errorf("the plot has %d lines", lines)
	}
}

func TestOptions(t *testing.T) {
	for _, args := range [][]string{
		{"-factors", "1,x"}, {"-factors", "0"}, {"-factors", "1000"}, {"more"},
	} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q: accepted", args)
		}
	}
	o, err := parse([]string{"-row", "watch"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.workload(); err == nil {
		t.Error("a row with watchers can't be offered at a rate")
	}
}

func TestRoundUp(t *testing.T) {
	for n, want := range map[float64]float64{0: 1, 1: 1, 1.1: 2, 3: 5, 7: 10, 99: 100, 120: 200} {
		if got := roundUp(n); got != want {
			t.Errorf("%g: %g, want %g", n, got, want)
		}
	}
}
