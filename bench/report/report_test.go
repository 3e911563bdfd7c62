package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files")

func sample(n float64) Sample {
	return Sample{
		PerSecond: 1000 * n, P50us: 100 / n, P99us: 5000 / n, ServerCPUus: 40 / n,
		ClientCPUus: 3.14, OtherCPUs: 0.01,
	}
}

func fixture() *Report {
	r := &Report{
		Time: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC),
		Host: Host{Processor: "Abacus <2>", CPUs: 4, System: "linux", Go: "go1", FsyncP50us: 150},
		Options: Options{
			Rounds: 3, SliceSeconds: 2.5, Nodes: 3, Shards: 8, Client: "lean", Connections: 6,
			Keys: 10_000, KeyBytes: 24, ValueBytes: 256,
		},
		Systems: []string{"miruvor", "etcd"},
	}
	for i, title := range []string{"put, 64 clients", "put, 1 client", "nothing & none"} {
		row := Row{Name: title[:3], Title: title, Results: make([]Result, 2)}
		for _, noise := range []float64{1, 0.5, 1.5} {
			row.Results[0].Add(sample(3 * noise * float64(i)))
			row.Results[1].Add(sample(noise * float64(i)))
		}
		if i > 0 { // by zero there are no times
			r.Rows = append(r.Rows, row)
		}
	}
	return r
}

func TestGolden(t *testing.T) {
	r := fixture()
	for name, write := range map[string]func(io.Writer) error{
		"table.txt": r.WriteTable, "report.json": r.WriteJSON, "plot.svg": r.WriteSVG,
	} {
		var got bytes.Buffer
		if err := write(&got); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", name)
		if *rewrite {
			if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s is not what it was; go test -rewrite\n%s", name, got.String())
		}
	}
}

func TestOneSystemHasNoRatio(t *testing.T) {
	r := fixture()
	r.Systems = r.Systems[:1]
	for i := range r.Rows {
		r.Rows[i].Results = r.Rows[i].Results[:1]
	}
	var table, plot bytes.Buffer
	if err := errors.Join(r.WriteTable(&table), r.WriteSVG(&plot)); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(table.Bytes(), []byte("ratio")) || bytes.Contains(plot.Bytes(), []byte("×")) {
		t.Error("one system is compared with itself")
	}
}

func TestPlotIsXML(t *testing.T) {
	var plot bytes.Buffer
	if err := fixture().WriteSVG(&plot); err != nil {
		t.Fatal(err)
	}
	decoder := xml.NewDecoder(&plot)
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestMedians(t *testing.T) {
	var r Result
	for _, c := range []struct{ add, want float64 }{{5, 5}, {1, 3}, {100, 5}, {7, 6}} {
		r.Add(Sample{PerSecond: c.add, P99us: -c.add})
		if r.Median.PerSecond != c.want || r.Median.P99us != -c.want {
			t.Errorf("after %g: %g, want %g", c.add, r.Median.PerSecond, c.want)
		}
	}
	if len(r.Rounds) != 4 || r.Rounds[1].PerSecond != 1 {
		t.Errorf("rounds out of order: %+v", r.Rounds)
	}
}

func TestFormats(t *testing.T) {
	for us, want := range map[float64]string{
		0: "0.0 µs", 3.14: "3.1 µs", 123.4: "123 µs", 1234: "1.23 ms", 123_400: "123 ms",
	} {
		if got := formatTime(us); got != want {
			t.Errorf("%g µs: %q, want %q", us, got, want)
		}
	}
	counts := map[float64]string{0: "0", 999: "999", 1000: "1,000", 1234567.8: "1,234,568"}
	for n, want := range counts {
		if got := formatCount(n); got != want {
			t.Errorf("%g: %q, want %q", n, got, want)
		}
	}
}

func TestJSONComesBack(t *testing.T) {
	want := fixture()
	var text bytes.Buffer
	if err := want.WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	var got Report
	if err := json.Unmarshal(text.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(&got, want) {
		t.Errorf("%+v, want %+v", &got, want)
	}
}
