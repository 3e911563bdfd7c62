// Package plot draws what happened over time as SVG: panels one below the other
// with one time axis, and bands of time behind them that say what was going on.
//
// Other pictures can be drawn on its Canvas. It measures nothing and knows nothing of
// what it draws. A picture has no scripts and no fonts of its own, and stands on light
// and on dark pages.
//
//	┌ Band ┐   ┌ Band ───┐
//	│ ╱╲   │   │         │   Panel: Series …
//	├──────┼───┼─────────┤
//	│   ▂█▂│   │▂        │   Panel: Series …
//	└──────┴───┴─────────┘ seconds
package plot

import (
	"fmt"
	"io"
	"math"
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

// style is that of bands, marks and series.
const style = `.band { fill: #8c959f; fill-opacity: .22 } .bad { fill: #d1242f; fill-opacity: .4 }
.mark { fill: #d1242f }
.s0 { stroke: #16998b } .s1 { stroke: #8250df } .s2 { stroke: #d1242f } .s3 { stroke: #bf8700 }
polyline { fill: none; stroke-width: 1.4; stroke-linejoin: round }
.bar { stroke: none } .bar.s0 { fill: #16998b } .bar.s1 { fill: #8250df }
.bar.s2 { fill: #d1242f } .bar.s3 { fill: #bf8700 }
`

// classes is how many series of a panel look different.
const classes = 4

// WriteSVG draws the chart.
func (c *Chart) WriteSVG(to io.Writer) error {
	head := float64(top + lineHeight*len(c.Caption))
	height := head + float64(len(c.Panels)*(panelHeight+panelGap)+bottom)
	s := NewCanvas(to, width, int(height), style)
	s.Text(left, 18, "head", "start", c.Title)
	for i, line := range c.Caption {
		s.Text(left, float64(18+lineHeight*(i+1)), "faint", "start", line)
	}
	for i := range c.Panels {
		y := head + float64(i*(panelHeight+panelGap)) + panelGap
		c.drawBands(s, y)
		c.drawPanel(s, &c.Panels[i], y)
		c.drawMarks(s, y)
	}
	c.drawTimes(s, height-bottom)
	return s.Close()
}

// x is where a time is.
func (c *Chart) x(at float64) float64 {
	if c.To <= c.From {
		return left
	}
	share := (at - c.From) / (c.To - c.From)
	return left + min(max(share, 0), 1)*(width-left-right)
}

func (c *Chart) drawBands(s *Canvas, y float64) {
	for _, b := range c.Bands {
		class := "band"
		if b.Bad {
			class = "bad"
		}
		s.Rect(c.x(b.From), y, max(1, c.x(b.To)-c.x(b.From)), panelHeight, class, b.Text)
	}
}

func (c *Chart) drawMarks(s *Canvas, y float64) {
	for _, m := range c.Marks {
		s.Rect(c.x(m.At)-1, y, 2, panelHeight, "mark", m.Text)
	}
}

func (c *Chart) drawPanel(s *Canvas, p *Panel, y float64) {
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
		s.Line(left, height(value), width-right, height(value), "rule")
		s.Text(left-6, height(value)+4, "faint", "end", fmt.Sprintf("%g", round(value)))
	}
	s.Text(left, y-8, "head", "start", p.Title)
	legend := float64(left + 14 + 8*len(p.Title))
	for i, series := range p.Series {
		class := fmt.Sprintf("s%d", i%classes)
		s.Rect(legend, y-17, 10, 10, "bar "+class, "")
		s.Text(legend+14, y-8, "faint", "start", series.Name)
		legend += float64(30 + 7*len(series.Name))
		if series.Bars {
			c.drawBars(s, &series, class, y+panelHeight, height)
		} else {
			c.drawLine(s, &series, class, height)
		}
	}
}

func (c *Chart) drawLine(
	s *Canvas, series *Series, class string, height func(float64) float64,
) {
	var points [][2]float64
	for _, p := range series.Points {
		points = append(points, [2]float64{c.x(p.At), height(p.Value)})
	}
	s.Lines(points, class)
}

func (c *Chart) drawBars(
	s *Canvas, series *Series, class string, ground float64, height func(float64) float64,
) {
	for i, p := range series.Points {
		if p.Value == 0 {
			continue
		}
		next := c.To
		if i+1 < len(series.Points) {
			next = series.Points[i+1].At
		}
		s.Rect(c.x(p.At), height(p.Value), max(1, c.x(next)-c.x(p.At)-0.3),
			ground-height(p.Value), "bar "+class, "")
	}
}

func (c *Chart) drawTimes(s *Canvas, y float64) {
	step := niceStep(c.To-c.From, 12)
	for at := math.Ceil(c.From/step) * step; at <= c.To; at += step {
		s.Text(c.x(at), y+16, "faint", "middle", fmt.Sprintf("%g", round(at)))
	}
	s.Text(width-right, y+30, "faint", "end", "seconds")
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
