package report

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
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

// plotStyle works on light and on dark pages: the ground stays transparent, and text is a grey that
// both bear, until the viewer says which it is.
const plotStyle = `<style>
text { font: 12px system-ui, sans-serif; fill: #76808a }
.head { font-weight: 600 } .faint { font-size: 11px }
.s0 { fill: #16998b } .s1 { fill: #9aa3ad } .rule { stroke: #8c959f; stroke-opacity: .35 }
@media (prefers-color-scheme: light) { text { fill: #24292f } .faint { fill: #6e7781 } }
@media (prefers-color-scheme: dark) { text { fill: #d7dde3 } .faint { fill: #98a2ad } }
</style>
`

// svg writes elements; the buffer keeps the first error to the end.
type svg struct{ to *bufio.Writer }

func (s svg) text(x, y int, class, anchor, text string) {
	var escaped strings.Builder
	_ = xml.EscapeText(&escaped, []byte(text)) // to memory
	fmt.Fprintf(s.to, "<text x=\"%d\" y=\"%d\" class=\"%s\" text-anchor=\"%s\">%s</text>\n",
		x, y, class, anchor, escaped.String())
}

func (s svg) bar(x, y int, width float64, class string) {
	fmt.Fprintf(s.to, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" ", x, y, width)
	fmt.Fprintf(s.to, "height=\"%d\" rx=\"2\" class=\"%s\"/>\n", plotBarHeight, class)
}

func (s svg) rule(y, width int) {
	fmt.Fprintf(s.to, "<line x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\" class=\"rule\"/>\n",
		plotMargin, width-plotMargin, y, y)
}

// WriteSVG draws the medians.
func (r *Report) WriteSVG(to io.Writer) error {
	s := svg{bufio.NewWriter(to)}
	rowHeight := len(r.Systems)*plotBarStep + plotRowGap
	width := 2*plotMargin + plotTitleWidth + len(metrics)*plotCellWidth
	height := plotTop + len(r.Rows)*rowHeight + plotFooter
	fmt.Fprintf(s.to, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "+
		"width=\"%d\" height=\"%d\" role=\"img\">\n", width, height, width, height)
	fmt.Fprint(s.to, plotStyle)
	r.drawHead(s)
	for i := range r.Rows {
		top := plotTop + i*rowHeight
		s.rule(top-plotRowGap/2, width)
		r.Rows[i].draw(s, top)
	}
	r.drawFoot(s, plotTop+len(r.Rows)*rowHeight)
	fmt.Fprintln(s.to, "</svg>")
	return s.to.Flush()
}

// drawHead is the legend, and what the columns are.
func (r *Report) drawHead(s svg) {
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

func (row *Row) draw(s svg, top int) {
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

func (row *Row) drawCell(s svg, x, top int, m metric) {
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

func (r *Report) drawFoot(s svg, y int) {
	for i, line := range strings.Split(r.caption(), "\n") {
		s.text(plotMargin, y+8+i*16, "faint", "start", line)
	}
}

func systemClass(i int) string {
	return fmt.Sprintf("s%d", i)
}
