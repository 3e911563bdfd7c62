package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/miruvor/miruvor/internal/history"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/plot"
)

// buckets is how many parts the time of a chart has, and bucketMin how long each
// is at least.
const (
	buckets   = 300
	bucketMin = 500 * time.Millisecond
)

// chart is the run over time.
func (r *report) chart() *plot.Chart {
	total := r.ended
	b := bucketed{size: max(bucketMin, total/buckets), total: total}
	b.addCalls(r.history.Calls())
	system, data := b.empty(), b.empty()
	for _, c := range r.sampler.changes {
		if i := int(c.at / b.size); i < len(data) && c.shard == kv.SystemShard {
			system[i].Value++
		} else if i < len(data) {
			data[i].Value++
		}
	}
	c := &plot.Chart{
		Title: fmt.Sprintf("%d nodes, %d shards, seed %d: %s", len(r.arena.nodes),
			len(r.config.splitAt)+1, r.config.seed, r.result()),
		Caption: []string{
			"Shaded: a fault is at work; point at it to read which. Red shade: the cluster did " +
				"not recover from it.",
			"Red lines: what clients or watches were told then cannot be; point at one to read " +
				"what.",
		},
		To: total.Seconds(),
		Panels: []plot.Panel{
			{Title: "answered calls a second", Series: []plot.Series{
				{Name: "etcd's clients", Points: b.rate(b.etcd)},
				{Name: "HTTP", Points: b.rate(b.http)},
			}},
			{Title: "failed calls a second", Least: 1, Series: []plot.Series{
				{Name: "refused", Points: b.rate(b.refused)},
				{Name: "no answer", Points: b.rate(b.unknown)},
			}},
			{Title: "latency of what was answered, ms", Series: []plot.Series{
				{Name: "median", Points: b.percentile(50)},
				{Name: "99 %", Points: b.percentile(99)},
			}},
			{Title: "changes of leaders", Least: 2, Series: []plot.Series{
				{Name: "of the data's shards", Bars: true, Points: data},
				{Name: "of the system shard", Bars: true, Points: system},
			}},
		},
	}
	var syncs []plot.Point
	for _, s := range r.machine.syncs {
		syncs = append(syncs, plot.Point{At: s.at.Seconds(), Value: s.took.Seconds() * 1000})
	}
	c.Panels = append(c.Panels, plot.Panel{
		Title: "fsync of a page beside all this, ms", Least: 100,
		Series: []plot.Series{{Name: "on the disk that all share", Points: syncs}},
	})
	for i := range r.done {
		d := &r.done[i]
		c.Bands = append(c.Bands, plot.Band{
			From: d.began.Seconds(), To: d.healed.Seconds(), Text: d.String(), Bad: d.failed,
		})
	}
	for _, p := range r.problems[:min(len(r.problems), problemsMax)] {
		c.Marks = append(c.Marks, plot.Mark{At: p.At.Seconds(), Text: p.Text})
	}
	return c
}

// bucketed are calls by the part of the time in which they ended.
type bucketed struct {
	size, total                  time.Duration
	etcd, http, refused, unknown []plot.Point
	latencies                    [][]time.Duration
}

// empty is a series of zeros.
func (b *bucketed) empty() []plot.Point {
	points := make([]plot.Point, b.total/b.size+1)
	for i := range points {
		points[i].At = (time.Duration(i) * b.size).Seconds()
	}
	return points
}

// addCalls counts calls.
func (b *bucketed) addCalls(calls []*history.Call) {
	b.etcd, b.http, b.refused, b.unknown = b.empty(), b.empty(), b.empty(), b.empty()
	b.latencies = make([][]time.Duration, len(b.etcd))
	for _, c := range calls {
		i := int(c.End / b.size)
		if i >= len(b.etcd) || c.Client < 0 {
			continue
		}
		switch {
		case c.Outcome == history.Unknown:
			b.unknown[i].Value++
			continue
		case c.Outcome != history.Answered:
			b.refused[i].Value++
			continue
		case c.Client < firstHTTP:
			b.etcd[i].Value++
		default:
			b.http[i].Value++
		}
		b.latencies[i] = append(b.latencies[i], c.End-c.Begin)
	}
}

// rate makes counts counts a second.
func (b *bucketed) rate(counts []plot.Point) []plot.Point {
	for i := range counts {
		counts[i].Value /= b.size.Seconds()
	}
	return counts
}

// percentile is that of the latencies, in milliseconds; where nothing was answered
// there is none.
func (b *bucketed) percentile(percent int) []plot.Point {
	var points []plot.Point
	for i, p := range b.empty() {
		if all := b.latencies[i]; len(all) > 0 {
			slices.Sort(all)
			p.Value = all[(len(all)-1)*percent/100].Seconds() * 1000
			points = append(points, p)
		}
	}
	return points
}
