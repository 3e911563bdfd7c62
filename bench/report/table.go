package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// metric is a column of the table, and of the plot.
type metric struct {
	title  string
	better string // "more" or "less"
	value  func(Sample) float64
	format func(float64) string
}

var metrics = []metric{
	{"per second", "more", func(s Sample) float64 { return s.PerSecond }, formatCount},
	{"p50", "less", func(s Sample) float64 { return s.P50us }, formatTime},
	{"p99", "less", func(s Sample) float64 { return s.P99us }, formatTime},
	{"server CPU/op", "less", func(s Sample) float64 { return s.ServerCPUus }, formatTime},
}

// WriteTable writes a line for each row and system, the ratio of the first system's figures to the
// last one's below.
func (r *Report) WriteTable(to io.Writer) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	width := r.titleWidth()
	header := []string{strings.Repeat(" ", width), ""}
	for _, m := range metrics {
		header = append(header, m.title)
	}
	writeCells(table, append(header, "client CPU/op", "other CPUs"))
	for _, row := range r.Rows {
		row.write(table, r.Systems, width)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(to, "\n%s\n", r.caption())
	return err
}

// titleWidth is the most characters of a title. They stand left, unlike all other cells, so they
// are filled up to it.
func (r *Report) titleWidth() int {
	width := 0
	for _, row := range r.Rows {
		width = max(width, utf8.RuneCountInString(row.Title))
	}
	return width
}

func (row *Row) write(table io.Writer, systems []string, width int) {
	title := fmt.Sprintf("%-*s", width, row.Title)
	for i, result := range row.Results {
		cells := []string{title, systems[i]}
		for _, m := range metrics {
			cells = append(cells, m.format(m.value(result.Median)))
		}
		other := strconv.FormatFloat(result.Median.OtherCPUs, 'f', 2, 64)
		writeCells(table, append(cells, formatTime(result.Median.ClientCPUus), other))
		title = ""
	}
	if len(row.Results) == 2 {
		cells := []string{"", "ratio"}
		for _, m := range metrics {
			cells = append(cells, formatRatio(row.ratio(m)))
		}
		writeCells(table, append(cells, "", ""))
	}
}

// ratio is the first system's figure in parts of the last one's.
func (row *Row) ratio(m metric) float64 {
	first, last := row.Results[0].Median, row.Results[len(row.Results)-1].Median
	if m.value(last) == 0 {
		return 0
	}
	return m.value(first) / m.value(last)
}

func writeCells(to io.Writer, cells []string) {
	fmt.Fprintln(to, strings.Join(cells, "\t")+"\t")
}

// caption says how it was measured.
func (r *Report) caption() string {
	o := r.Options
	return fmt.Sprintf("%d nodes each on loopback, %d shards of Miruvor's; "+
		"%d keys of %d bytes, values of %d bytes.\n"+
		"Medians of %d interleaved slices of %g s; %s client, %d connections.\n"+
		"%s, %d CPUs for servers and load together; fsync %s.",
		o.Nodes, o.Shards, o.Keys, o.KeyBytes, o.ValueBytes,
		o.Rounds, o.SliceSeconds, o.Client, o.Connections,
		r.Host.Processor, r.Host.CPUs, formatTime(r.Host.FsyncP50us))
}

func formatCount(n float64) string {
	digits := strconv.FormatFloat(n, 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func formatTime(us float64) string {
	switch {
	case us >= 100_000:
		return fmt.Sprintf("%.0f ms", us/1000)
	case us >= 1000:
		return fmt.Sprintf("%.2f ms", us/1000)
	case us >= 100:
		return fmt.Sprintf("%.0f µs", us)
	default:
		return fmt.Sprintf("%.1f µs", us)
	}
}

func formatRatio(ratio float64) string {
	return fmt.Sprintf("%.2f×", ratio)
}
