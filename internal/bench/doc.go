// Package bench puts load on Miruvor's HTTP API and measures what comes back.
//
// It owns the load: which keys, how many clients, what is counted. What it
// measures is a closed loop: each client sends a request, waits for the whole
// answer, and sends the next, so latency and throughput belong together and a
// slow server is asked less often. It speaks HTTP/1.1 itself, over one
// connection a client, because the load often runs on the machine that it
// measures: a request costs no allocation here.
//
//	Config ── Validate ──> Run ──┬─ fill: put every key once, unless only puts follow
//	                             └─ measure ── clients' tallies ──> Report
//
// Run is for one caller; its clients are goroutines that end before it returns.
package bench
