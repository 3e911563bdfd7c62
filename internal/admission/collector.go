package admission

import "github.com/prometheus/client_golang/prometheus"

// Collector describes two rooms to Prometheus, of reads and of writes, which stand
// at some place.
type Collector struct {
	rooms                 map[string]*Room
	live, limit, refused  *prometheus.Desc
	liveBytes, limitBytes *prometheus.Desc
}

var _ prometheus.Collector = (*Collector)(nil)

// NewCollector is that of the rooms at a place.
func NewCollector(at string, reads, writes *Room) *Collector {
	describe := func(name, help string) *prometheus.Desc {
		labels := prometheus.Labels{"at": at}
		return prometheus.NewDesc("miruvor_admission_"+name, help, []string{"kind"}, labels)
	}
	return &Collector{
		rooms: map[string]*Room{"reads": reads, "writes": writes},
		live:  describe("requests", "Requests that were let in and are not answered yet."),
		limit: describe("limit_requests",
			"How many there may be, which follows from how many are done in a second."),
		refused: describe("refused_requests_total", "Requests refused for that."),
		liveBytes: describe("bytes",
			"What these requests carry: values that are written, answers to reads."),
		limitBytes: describe("limit_bytes",
			"How much that may be, which follows from how much is done in a second."),
	}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.live, c.limit, c.refused, c.liveBytes, c.limitBytes} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	for kind, r := range c.rooms {
		calls, loads := r.Calls.Load(), r.Loads.Load()
		gauge := func(d *prometheus.Desc, value int64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), kind)
		}
		gauge(c.live, calls.Live)
		gauge(c.limit, calls.Limit)
		gauge(c.liveBytes, loads.Live)
		gauge(c.limitBytes, loads.Limit)
		ch <- prometheus.MustNewConstMetric(c.refused, prometheus.CounterValue,
			float64(calls.Refused+loads.Refused), kind)
	}
}
