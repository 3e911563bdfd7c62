package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/miruvor/miruvor/internal/plot"
)

// The plot is a grid: workloads down, metrics across. A cell has a bar for each system, as long as
// its share of the cell's largest figure, so rows of any magnitude can be read side by side.
const (
	plotTitleWidth = 150
	plotCellWidth  = 222
	plotCellGap    = 28
	plotBarWidth   = 84 // of the largest
	plotBarHeight  = 11
	plotBarStep    = 15
	plotRowGap     = 16
	plotTop        = 86
	plotMargin     = 16
	plotFooter     = 62
)

// plotStyle is that of the systems.
const plotStyle = ".s0 { fill: #16998b } .s1 { fill: #9aa3ad }\n"

// picture is a canvas with what a cell is made of.
type picture struct{ *plot.Canvas }

func (p picture) text(x, y int, class, anchor, text string) {
	p.Text(float64(x), float64(y), class, anchor, text)
}

func (p picture) bar(x, y int, width float64, class string) {
	p.Rect(float64(x), float64(y), width, plotBarHeight, class, "")
}

// WriteSVG draws the medians.
func (r *Report) WriteSVG(to io.Writer) error {
	rowHeight := len(r.Systems)*plotBarStep + plotRowGap
	width := 2*plotMargin + plotTitleWidth + len(metrics)*plotCellWidth
	height := plotTop + len(r.Rows)*rowHeight + plotFooter
	s := picture{plot.NewCanvas(to, width, height, plotStyle)}
	r.drawHead(s)
	for i := range r.Rows {
		top := plotTop + i*rowHeight
		y := float64(top - plotRowGap/2)
		s.Line(plotMargin, y, float64(width-plotMargin), y, "rule")
		r.Rows[i].draw(s, top)
	}
	r.drawFoot(s, plotTop+len(r.Rows)*rowHeight)
	return s.Close()
}

// drawHead is the legend, and what the columns are.
func (r *Report) drawHead(s picture) {
	x := plotMargin
	for i, name := range r.Systems {
		s.bar(x, 14, 18, systemClass(i))
		s.text(x+24, 24, "head", "start", name)
		x += 40 + 8*len(name)
	}
	for i, m := range metrics {
		x := plotMargin + plotTitleWidth + i*plotCellWidth
		s.text(x, 48, "head", "start", m.title)
		s.text(x, 63, "faint", "start", m.better+" is better")
	}
}

func (row *Row) draw(s picture, top int) {
	title, rest := row.Title, ""
	if comma := strings.LastIndex(title, ", "); comma >= 0 {
		title, rest = title[:comma], title[comma+2:]
	}
	s.text(plotMargin, top+plotBarHeight-1, "head", "start", title)
	s.text(plotMargin, top+plotBarHeight-1+plotBarStep, "faint", "start", rest)
	for i, m := range metrics {
		row.drawCell(s, plotMargin+plotTitleWidth+i*plotCellWidth, top, m)
	}
}

func (row *Row) drawCell(s picture, x, top int, m metric) {
	largest := 0.0
	for _, result := range row.Results {
		largest = max(largest, m.value(result.Median))
	}
	for i, result := range row.Results {
		value, y := m.value(result.Median), top+i*plotBarStep
		width := 1.0
		if largest > 0 {
			width = max(1, plotBarWidth*value/largest)
		}
		s.bar(x, y, width, systemClass(i))
		s.text(x+int(width)+5, y+plotBarHeight-1, "", "start", m.format(value))
	}
	if len(row.Results) == 2 {
		end := x + plotCellWidth - plotCellGap
		s.text(end, top+plotBarHeight-1, "head", "end", formatRatio(row.ratio(m)))
	}
}

func (r *Report) drawFoot(s picture, y int) {
	for i, line := range strings.Split(r.caption(), "\n") {
		s.text(plotMargin, y+8+i*16, "faint", "start", line)
	}
}

func systemClass(i int) string {
	return fmt.Sprintf("s%d", i)
}
