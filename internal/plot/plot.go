// Package plot draws what happened over time as SVG: panels one below the other
// with one time axis, and bands of time behind them that say what was going on.
//
// It measures nothing and knows nothing of what it draws. The picture has no
// scripts and no fonts of its own, and stands on light and on dark pages.
//
//	┌ Band ┐   ┌ Band ───┐
//	│ ╱╲   │   │         │   Panel: Series …
//	├──────┼───┼─────────┤
//	│   ▂█▂│   │▂        │   Panel: Series …
//	└──────┴───┴─────────┘ seconds
package plot

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"
)

// Chart is a picture. Times are in seconds.
type Chart struct {
	Title string
	// Caption is lines below the title.
	Caption []string
	// From and To bound the time axis.
	From, To float64
	Panels   []Panel
	Bands    []Band
	Marks    []Mark
}

// Panel is a part of a chart with an axis of values of its own, from 0.
type Panel struct {
	Title  string
	Series []Series
	// Least is what the axis goes up to at least.
	Least float64
}

// Series is a line, or bars.
type Series struct {
	Name string
	Bars bool
	// Points are in the order of time. A bar is as wide as the time to the next.
	Points []Point
}

// Point is a value at a time.
type Point struct{ At, Value float64 }

// Band is a time that is shaded in all panels.
type Band struct {
	From, To float64
	// Text is shown to whoever points at the band.
	Text string
	// Bad makes it stand out.
	Bad bool
}

// Mark is a moment that all panels show.
type Mark struct {
	At float64
	// Text is shown to whoever points at the mark.
	Text string
}

// The measures of the picture, in pixels.
const (
	width       = 1200
	left        = 64
	right       = 16
	top         = 30
	lineHeight  = 16
	panelHeight = 130
	panelGap    = 34
	bottom      = 34
)

// style works on light and on dark pages: the ground stays transparent, and text
// is a grey that both bear, until the viewer says which it is.
const style = `<style>
text { font: 12px system-ui, sans-serif; fill: #76808a }
.head { font-weight: 600 } .faint { font-size: 11px }
.rule { stroke: #8c959f; stroke-opacity: .3 }
.band { fill: #8c959f; fill-opacity: .22 } .bad { fill: #d1242f; fill-opacity: .4 }
.mark { fill: #d1242f }
.s0 { stroke: #16998b } .s1 { stroke: #8250df } .s2 { stroke: #d1242f } .s3 { stroke: #bf8700 }
polyline { fill: none; stroke-width: 1.4; stroke-linejoin: round }
.bar { stroke: none } .bar.s0 { fill: #16998b } .bar.s1 { fill: #8250df }
.bar.s2 { fill: #d1242f } .bar.s3 { fill: #bf8700 }
@media (prefers-color-scheme: light) { text { fill: #24292f } .faint { fill: #6e7781 } }
@media (prefers-color-scheme: dark) { text { fill: #d7dde3 } .faint { fill: #98a2ad } }
</style>
`

// classes is how many series of a panel look different.
const classes = 4

// svg writes elements; the buffer keeps the first error to the end.
type svg struct{ to *bufio.Writer }

func (s svg) printf(format string, args ...any) { fmt.Fprintf(s.to, format, args...) }

func (s svg) text(x, y float64, class, anchor, text string) {
	s.printf("<text x=\"%.1f\" y=\"%.1f\" class=\"%s\" text-anchor=\"%s\">%s</text>\n",
		x, y, class, anchor, escape(text))
}

func (s svg) rule(x1, y1, x2, y2 float64) {
	s.printf("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"rule\"/>\n",
		x1, y1, x2, y2)
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // to memory
	return b.String()
}

// WriteSVG draws the chart.
func (c *Chart) WriteSVG(to io.Writer) error {
	s := svg{bufio.NewWriter(to)}
	head := float64(top + lineHeight*len(c.Caption))
	height := head + float64(len(c.Panels)*(panelHeight+panelGap)+bottom)
	s.printf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %.0f\" "+
		"width=\"%d\" height=\"%.0f\" role=\"img\">\n%s", width, height, width, height, style)
	s.text(left, 18, "head", "start", c.Title)
	for i, line := range c.Caption {
		s.text(left, float64(18+lineHeight*(i+1)), "faint", "start", line)
	}
	for i := range c.Panels {
		y := head + float64(i*(panelHeight+panelGap)) + panelGap
		c.drawBands(s, y)
		c.drawPanel(s, &c.Panels[i], y)
		c.drawMarks(s, y)
	}
	c.drawTimes(s, height-bottom)
	s.printf("</svg>\n")
	return s.to.Flush()
}

// x is where a time is.
func (c *Chart) x(at float64) float64 {
	if c.To <= c.From {
		return left
	}
	share := (at - c.From) / (c.To - c.From)
	return left + min(max(share, 0), 1)*(width-left-right)
}

func (c *Chart) drawBands(s svg, y float64) {
	for _, b := range c.Bands {
		class := "band"
		if b.Bad {
			class = "bad"
		}
		s.printf("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" class=\"%s\">"+
			"<title>%s</title></rect>\n", c.x(b.From), y, max(1, c.x(b.To)-c.x(b.From)),
			panelHeight, class, escape(b.Text))
	}
}

func (c *Chart) drawMarks(s svg, y float64) {
	for _, m := range c.Marks {
		s.printf("<rect x=\"%.1f\" y=\"%.1f\" width=\"2\" height=\"%d\" class=\"mark\">"+
			"<title>%s</title></rect>\n", c.x(m.At)-1, y, panelHeight, escape(m.Text))
	}
}

func (c *Chart) drawPanel(s svg, p *Panel, y float64) {
	most := p.Least
	for _, series := range p.Series {
		for _, point := range series.Points {
			most = max(most, point.Value)
		}
	}
	step := niceStep(most, 4)
	most = max(step, math.Ceil(most/step)*step)
	height := func(value float64) float64 { return y + panelHeight*(1-min(value/most, 1)) }
	for value := 0.0; value <= most*1.001; value += step {
		s.rule(left, height(value), width-right, height(value))
		s.text(left-6, height(value)+4, "faint", "end", fmt.Sprintf("%g", round(value)))
	}
	s.text(left, y-8, "head", "start", p.Title)
	legend := float64(left + 14 + 8*len(p.Title))
	for i, series := range p.Series {
		class := fmt.Sprintf("s%d", i%classes)
		s.printf("<rect x=\"%.1f\" y=\"%.1f\" width=\"10\" height=\"10\" class=\"bar %s\"/>\n",
			legend, y-17, class)
		s.text(legend+14, y-8, "faint", "start", series.Name)
		legend += float64(30 + 7*len(series.Name))
		if series.Bars {
			c.drawBars(s, &series, class, y+panelHeight, height)
		} else {
			c.drawLine(s, &series, class, height)
		}
	}
}

func (c *Chart) drawLine(
	s svg, series *Series, class string, height func(float64) float64,
) {
	s.printf("<polyline class=\"%s\" points=\"", class)
	for _, p := range series.Points {
		s.printf("%.1f,%.1f ", c.x(p.At), height(p.Value))
	}
	s.printf("\"/>\n")
}

func (c *Chart) drawBars(
	s svg, series *Series, class string, ground float64, height func(float64) float64,
) {
	for i, p := range series.Points {
		if p.Value == 0 {
			continue
		}
		next := c.To
		if i+1 < len(series.Points) {
			next = series.Points[i+1].At
		}
		s.printf("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" class=\"bar %s\"/>\n",
			c.x(p.At), height(p.Value), max(1, c.x(next)-c.x(p.At)-0.3),
			ground-height(p.Value), class)
	}
}

func (c *Chart) drawTimes(s svg, y float64) {
	step := niceStep(c.To-c.From, 12)
	for at := math.Ceil(c.From/step) * step; at <= c.To; at += step {
		s.text(c.x(at), y+16, "faint", "middle", fmt.Sprintf("%g", round(at)))
	}
	s.text(width-right, y+30, "faint", "end", "seconds")
}

// niceStep parts a length into about n steps of 1, 2 or 5 times a power of ten.
func niceStep(length float64, n int) float64 {
	if length <= 0 || math.IsInf(length, 0) || math.IsNaN(length) {
		return 1
	}
	raw := length / float64(n)
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5} {
		if raw <= m*power {
			return m * power
		}
	}
	return 10 * power
}

// round drops what is left of a number by computing with floats.
func round(value float64) float64 { return math.Round(value*1e6) / 1e6 }
