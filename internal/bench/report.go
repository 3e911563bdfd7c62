package bench

import "time"

// Report is what a load showed.
type Report struct {
	Work    Work     `json:"work"`
	Targets []string `json:"endpoints"`
	Clients int      `json:"clients"`
	Seconds float64  `json:"seconds"`
	// Operations has a line for gets and one for puts, if there were any.
	Operations []Operation `json:"operations"`
	// Errors counts failed operations by kind; they are in no other number.
	Errors map[string]int64 `json:"errors"`
}

// Operation is one kind of operation.
type Operation struct {
	Name      Work    `json:"name"`
	Done      int64   `json:"done"`
	PerSecond float64 `json:"per_second"`
	// Missing counts the reads among Done that found no key.
	Missing int64   `json:"missing,omitempty"`
	Latency Latency `json:"latency"`
}

// Latency is from the first byte sent to the last received, in microseconds.
// Quantiles are exact to about 3%.
type Latency struct {
	MeanMicros int64 `json:"mean_us"`
	P50Micros  int64 `json:"p50_us"`
	P90Micros  int64 `json:"p90_us"`
	P99Micros  int64 `json:"p99_us"`
	P999Micros int64 `json:"p999_us"`
	MaxMicros  int64 `json:"max_us"`
}

// Done is how many operations succeeded.
func (r *Report) Done() int64 {
	sum := int64(0)
	for _, operation := range r.Operations {
		sum += operation.Done
	}
	return sum
}

// Failed is how many operations failed.
func (r *Report) Failed() int64 {
	sum := int64(0)
	for _, n := range r.Errors {
		sum += n
	}
	return sum
}

func newReport(config *Config, t *tally, took time.Duration) Report {
	r := Report{
		Work: config.Work, Targets: config.Targets, Clients: config.Clients,
		Seconds: took.Seconds(), Operations: []Operation{}, Errors: t.errors,
	}
	for _, kind := range []struct {
		name    Work
		taken   *histogram
		missing int64
	}{{Get, &t.gets, t.missing}, {Put, &t.puts, 0}} {
		if kind.taken.count > 0 {
			r.Operations = append(r.Operations, Operation{
				Name: kind.name, Done: kind.taken.count, Missing: kind.missing,
				PerSecond: float64(kind.taken.count) / took.Seconds(),
				Latency:   newLatency(kind.taken),
			})
		}
	}
	return r
}

func newLatency(h *histogram) Latency {
	return Latency{
		MeanMicros: h.mean().Microseconds(),
		P50Micros:  h.quantile(0.5).Microseconds(),
		P90Micros:  h.quantile(0.9).Microseconds(),
		P99Micros:  h.quantile(0.99).Microseconds(),
		P999Micros: h.quantile(0.999).Microseconds(),
		MaxMicros:  h.max.Microseconds(),
	}
}
