package main

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"
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

const plotStyle = `<style>
text { font: 12px system-ui, sans-serif; fill: #76808a }
.head { font-weight: 600 } .faint { font-size: 11px }
.rule { stroke: #8c959f; stroke-opacity: .35 } polyline { fill: none; stroke-width: 2 }
.c0 { stroke: #16998b } .c1 { stroke: #d08770 } .c2 { stroke: #b48ead } .c3 { stroke: #5e81ac }
.c4 { stroke: #9aa3ad; stroke-dasharray: 4 4 }
@media (prefers-color-scheme: light) { text { fill: #24292f } .faint { fill: #6e7781 } }
@media (prefers-color-scheme: dark) { text { fill: #d7dde3 } .faint { fill: #98a2ad } }
</style>
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
	w := bufio.NewWriter(to)
	height := panelTop + 2*panelTall + panelGap + plotFooter
	fmt.Fprintf(w, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "+
		"width=\"%d\" height=\"%d\" role=\"img\">\n%s", plotWidth, height, plotWidth, height, plotStyle)
	for _, p := range r.panels() {
		r.draw(w, &p)
	}
	for i, line := range strings.Split(r.caption(), "\n") {
		text(w, plotLeft, height-plotFooter+56+16*i, "faint", "start", line)
	}
	fmt.Fprintln(w, "</svg>")
	return w.Flush()
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

func (r *report) draw(w *bufio.Writer, p *panel) {
	text(w, plotLeft, p.top-30, "head", "start", p.title)
	const lines = 4
	for i := range lines + 1 {
		value := p.most * float64(i) / lines
		if p.least > 0 {
			value = p.least * math.Pow(10, float64(i))
		}
		y := p.y(value)
		fmt.Fprintf(w, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" class=\"rule\"/>\n",
			plotLeft, plotWidth-plotRight, y, y)
		text(w, plotLeft-8, int(y)+4, "faint", "end", fmt.Sprintf("%.0f%s", value, p.unit))
	}
	for i := range r.Rows {
		x := int(r.x(r.Rows[i].Factor))
		text(w, x, p.top+panelTall+18, "faint", "middle", fmt.Sprintf("%g×", r.Rows[i].Factor))
	}
	x := plotLeft
	for _, c := range p.curves {
		fmt.Fprintf(w, "<polyline class=\"c%d\" points=\"%d,%d %d,%d\"/>\n", c.class,
			x, p.top-14, x+18, p.top-14)
		text(w, x+24, p.top-10, "faint", "start", c.name)
		x += 50 + 7*len(c.name)
		var points []string
		for i := range r.Rows {
			row := &r.Rows[i]
			points = append(points, fmt.Sprintf("%.1f,%.1f", r.x(row.Factor), p.y(c.value(row))))
		}
		fmt.Fprintf(w, "<polyline class=\"c%d\" points=\"%s\"/>\n", c.class, strings.Join(points, " "))
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

func text(w *bufio.Writer, x, y int, class, anchor, text string) {
	var escaped strings.Builder
	_ = xml.EscapeText(&escaped, []byte(text)) // to memory
	fmt.Fprintf(w, "<text x=\"%d\" y=\"%d\" class=\"%s\" text-anchor=\"%s\">%s</text>\n",
		x, y, class, anchor, escaped.String())
}
