package plot

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// Canvas is a picture under way: elements of SVG, each above those before it. Places
// and lengths are in pixels, from the upper left. It keeps the first error for Close.
type Canvas struct{ to *bufio.Writer }

// baseStyle works on light and on dark pages: the ground stays transparent, and text
// is a grey that both bear, until the viewer says which it is.
const baseStyle = `text { font: 12px system-ui, sans-serif; fill: #76808a }
.head { font-weight: 600 } .faint { font-size: 11px }
.rule { stroke: #8c959f; stroke-opacity: .3 }
@media (prefers-color-scheme: light) { text { fill: #24292f } .faint { fill: #6e7781 } }
@media (prefers-color-scheme: dark) { text { fill: #d7dde3 } .faint { fill: #98a2ad } }
`

// NewCanvas begins a picture. It knows the classes head and faint of texts, and rule
// of lines; style is CSS for others.
func NewCanvas(to io.Writer, width, height int, style string) *Canvas {
	c := &Canvas{bufio.NewWriter(to)}
	c.printf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "+
		"height=\"%d\" role=\"img\">\n<style>\n%s%s</style>\n", width, height, width, height,
		baseStyle, style)
	return c
}

// Close ends the picture.
func (c *Canvas) Close() error {
	c.printf("</svg>\n")
	return c.to.Flush()
}

func (c *Canvas) printf(format string, args ...any) { fmt.Fprintf(c.to, format, args...) }

// Text writes beside a place: anchor is start, middle or end.
func (c *Canvas) Text(x, y float64, class, anchor, text string) {
	c.printf("<text x=\"%.1f\" y=\"%.1f\" class=\"%s\" text-anchor=\"%s\">%s</text>\n",
		x, y, class, anchor, escape(text))
}

// Line draws from one place to another.
func (c *Canvas) Line(x1, y1, x2, y2 float64, class string) {
	c.printf("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n",
		x1, y1, x2, y2, class)
}

// Lines draws from one point to the next, which are x and y.
func (c *Canvas) Lines(points [][2]float64, class string) {
	c.printf("<polyline class=\"%s\" points=\"", class)
	for i, p := range points {
		if i > 0 {
			c.printf(" ")
		}
		c.printf("%.1f,%.1f", p[0], p[1])
	}
	c.printf("\"/>\n")
}

// Rect fills a rectangle. title, if there is any, is shown to whoever points at it.
func (c *Canvas) Rect(x, y, width, height float64, class, title string) {
	c.printf("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" class=\"%s\"",
		x, y, width, height, class)
	if title == "" {
		c.printf("/>\n")
		return
	}
	c.printf("><title>%s</title></rect>\n", escape(title))
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // to memory
	return b.String()
}
