package main

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/miruvor/miruvor/internal/plot"
)

// The plot has two panels, over the load in parts of what fits, on a logarithmic scale: what was
// served, refused and late, on such a scale too; and the latency of what was served.
const (
	plotWidth  = 760
	plotLeft   = 84
	plotRight  = 24
	panelTop   = 56
	panelTall  = 230
	panelGap   = 70
	plotFooter = 108
)

const plotStyle = `polyline { fill: none; stroke-width: 2 }
.c0 { stroke: #16998b } .c1 { stroke: #d08770 } .c2 { stroke: #b48ead } .c3 { stroke: #5e81ac }
.c4 { stroke: #9aa3ad; stroke-dasharray: 4 4 }
`

// curve is one line of a panel.
type curve struct {
	name  string
	class int
	value func(*row) float64
}

// panel is a set of curves over the load.
type panel struct {
	title  string
	top    int
	most   float64 // the upper end of the scale
	least  float64 // its lower end if it is logarithmic, else 0
	unit   string
	curves []curve
}

// svg draws the measurement.
func (r *report) svg(to io.Writer) error {
	const height = panelTop + 2*panelTall + panelGap + plotFooter
	w := plot.NewCanvas(to, plotWidth, height, plotStyle)
	for _, p := range r.panels() {
		r.draw(w, &p)
	}
	for i, line := range strings.Split(r.caption(), "\n") {
		w.Text(plotLeft, float64(height-plotFooter+56+16*i), "faint", "start", line)
	}
	return w.Close()
}

func (r *report) panels() []panel {
	rates := panel{title: "Requests a second", top: panelTop, curves: []curve{
		{"offered", 4, func(w *row) float64 { return w.Offered }},
		{"served", 0, func(w *row) float64 { return w.Served }},
		{"refused", 1, func(w *row) float64 { return w.Refused }},
		{"late or failed", 2, func(w *row) float64 { return w.Late + w.Failed }},
	}}
	latency := panel{
		title: "Latency of what was served", top: panelTop + panelTall + panelGap, unit: " ms",
		curves: []curve{
			{"p50", 0, func(w *row) float64 { return w.P50ms }},
			{"p99", 3, func(w *row) float64 { return w.P99ms }},
			{"lag of the load, p99", 4, func(w *row) float64 { return w.LagP99ms }},
		},
	}
	for _, p := range []*panel{&rates, &latency} {
		for _, c := range p.curves {
			for i := range r.Rows {
				p.most = max(p.most, c.value(&r.Rows[i]))
			}
		}
		p.most = roundUp(p.most)
	}
	rates.most = math.Pow(10, math.Ceil(math.Log10(rates.most)))
	rates.least = rates.most / 10_000
	return []panel{rates, latency}
}

// roundUp is the next of 1, 2 and 5 times a power of ten.
func roundUp(n float64) float64 {
	if n <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(n)))
	for _, step := range []float64{1, 2, 5} {
		if n <= step*power {
			return step * power
		}
	}
	return 10 * power
}

func (r *report) draw(w *plot.Canvas, p *panel) {
	top := float64(p.top)
	w.Text(plotLeft, top-30, "head", "start", p.title)
	const lines = 4
	for i := range lines + 1 {
		value := p.most * float64(i) / lines
		if p.least > 0 {
			value = p.least * math.Pow(10, float64(i))
		}
		y := p.y(value)
		w.Line(plotLeft, y, plotWidth-plotRight, y, "rule")
		w.Text(plotLeft-8, y+4, "faint", "end", fmt.Sprintf("%.0f%s", value, p.unit))
	}
	for i := range r.Rows {
		w.Text(r.x(r.Rows[i].Factor), top+panelTall+18, "faint", "middle",
			fmt.Sprintf("%g×", r.Rows[i].Factor))
	}
	x := float64(plotLeft)
	for _, c := range p.curves {
		class := fmt.Sprintf("c%d", c.class)
		w.Lines([][2]float64{{x, top - 14}, {x + 18, top - 14}}, class)
		w.Text(x+24, top-10, "faint", "start", c.name)
		x += float64(50 + 7*len(c.name))
		var points [][2]float64
		for i := range r.Rows {
			row := &r.Rows[i]
			points = append(points, [2]float64{r.x(row.Factor), p.y(c.value(row))})
		}
		w.Lines(points, class)
	}
}

// x is where a load stands.
func (r *report) x(factor float64) float64 {
	low, high := r.Rows[0].Factor, r.Rows[0].Factor
	for i := range r.Rows {
		low, high = min(low, r.Rows[i].Factor), max(high, r.Rows[i].Factor)
	}
	if low == high {
		return plotLeft
	}
	part := math.Log(factor/low) / math.Log(high/low)
	return plotLeft + part*(plotWidth-plotLeft-plotRight)
}

// y is where a value stands.
func (p *panel) y(value float64) float64 {
	part := value / p.most
	if p.least > 0 {
		part = math.Log(max(value, p.least)/p.least) / math.Log(p.most/p.least)
	}
	return float64(p.top+panelTall) - panelTall*part
}
