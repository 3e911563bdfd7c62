package admission

import "github.com/prometheus/client_golang/prometheus"

// Collector describes two limiters to Prometheus, of reads and of writes, which stand
// at some place.
type Collector struct {
	kinds                map[string]*Limiter
	live, limit, refused *prometheus.Desc
}

var _ prometheus.Collector = (*Collector)(nil)

// NewCollector is that of the limiters at a place.
func NewCollector(at string, reads, writes *Limiter) *Collector {
	describe := func(name, help string) *prometheus.Desc {
		labels := prometheus.Labels{"at": at}
		return prometheus.NewDesc("miruvor_admission_"+name, help, []string{"kind"}, labels)
	}
	return &Collector{
		kinds: map[string]*Limiter{"reads": reads, "writes": writes},
		live: describe("requests",
			"Requests that were let in and are not answered yet; one that carries much counts "+
				"several times."),
		limit: describe("limit_requests",
			"How many there may be, which follows from how many are done in a second."),
		refused: describe("refused_requests_total", "Requests refused for that."),
	}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.live
	ch <- c.limit
	ch <- c.refused
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	for kind, l := range c.kinds {
		load := l.Load()
		gauge := func(d *prometheus.Desc, value int64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), kind)
		}
		gauge(c.live, load.Live)
		gauge(c.limit, load.Limit)
		ch <- prometheus.MustNewConstMetric(
			c.refused, prometheus.CounterValue, float64(load.Refused), kind)
	}
}
