package netlab

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Condition is what a link does to packets. The zero value carries each at
// once.
type Condition struct {
	// Cut lets nothing through.
	Cut bool
	// Loss is the share of packets that is lost, from 0 to 1.
	Loss float64
	// Delay is added to each packet, and up to Jitter more, by which packets
	// overtake each other.
	Delay, Jitter time.Duration
}

// link is one direction between two hosts.
type link struct {
	mu        sync.Mutex
	condition Condition
	rng       *rand.Rand
	// carried, lost and late count packets.
	carried, lost, late atomic.Int64
}

// fate draws what happens to the next packet.
func (l *link) fate() (lost bool, delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.condition
	if c.Cut || c.Loss > 0 && l.rng.Float64() < c.Loss {
		return true, 0
	}
	if delay = c.Delay; c.Jitter > 0 {
		delay += time.Duration(l.rng.Int64N(int64(c.Jitter)))
	}
	return false, delay
}

func (l *link) set(c Condition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.condition = c
}
