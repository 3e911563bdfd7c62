package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the golden file")

func fixture() *Chart {
	return &Chart{
		Title: "3 nodes & <faults>", Caption: []string{"seed 7", "4 shards"}, To: 30,
		Panels: []Panel{
			{Title: "calls a second", Series: []Series{
				{Name: "etcd", Points: []Point{{0, 100}, {10, 240}, {20, 0}, {29, 180}}},
				{Name: "HTTP", Points: []Point{{0, 50}, {10, 120.5}, {20, 3}, {29, 90}}},
			}},
			{Title: "changes", Least: 1, Series: []Series{
				{
					Name: "of leaders", Bars: true,
					Points: []Point{{0, 0}, {10, 2}, {11, 0}, {29, 1}},
				},
			}},
			{Title: "nothing"},
		},
		Bands: []Band{
			{From: 9, To: 14, Text: "kill n1"},
			{From: 20, To: 20, Text: "\"restart\""},
			{From: 25, To: 40, Text: "beyond the end", Bad: true},
		},
		Marks: []Mark{{At: 12, Text: "<stale>"}},
	}
}

func TestGolden(t *testing.T) {
	var got bytes.Buffer
	if err := fixture().WriteSVG(&got); err != nil {
		t.Fatal(err)
	}
	const path = "testdata/chart.svg"
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
		t.Errorf("it is not what it was; go test -rewrite\n%s", got.String())
	}
}

func TestIsXML(t *testing.T) {
	empty := &Chart{Panels: []Panel{{}}}
	for _, c := range []*Chart{fixture(), {}, empty} {
		var picture bytes.Buffer
		if err := c.WriteSVG(&picture); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(picture.Bytes(), []byte("NaN")) {
			t.Errorf("not a number in\n%s", picture.String())
		}
		decoder := xml.NewDecoder(&picture)
		for {
			_, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestSteps(t *testing.T) {
	for _, c := range []struct {
		length, want float64
		n            int
	}{
		{10, 5, 4},
		{8, 2, 4},
		{0.3, 0.1, 4},
		{1800, 200, 12},
		{90, 10, 12},
		{0, 1, 4},
		{math.NaN(), 1, 4},
	} {
		if got := niceStep(c.length, c.n); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%g in %d: %g, want %g", c.length, c.n, got, c.want)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestErrorIsTold(t *testing.T) {
	if err := fixture().WriteSVG(full{}); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("%v", err)
	}
}
