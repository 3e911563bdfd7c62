package main

import (
	"slices"
	"sync"
	"time"

	"github.com/miruvor/miruvor/bench/cluster"
)

// samplePause lies between two looks at the memory of the nodes.
const samplePause = 100 * time.Millisecond

// sampler looks at the nodes while they are under load.
type sampler struct {
	running sync.WaitGroup
	done    chan struct{}
	// most is the most memory that any node held, in bytes.
	most int64
}

func startSampler(c *cluster.Cluster) *sampler {
	s := &sampler{done: make(chan struct{})}
	s.running.Go(func() {
		tick := time.NewTicker(samplePause)
		defer tick.Stop()
		for {
			// A node that is gone shows in everything else.
			if list, err := c.Resident(); err == nil {
				s.most = max(s.most, slices.Max(list))
			}
			select {
			case <-tick.C:
			case <-s.done:
				return
			}
		}
	})
	return s
}

// stop returns the most memory that a node held, in bytes.
func (s *sampler) stop() int64 {
	close(s.done)
	s.running.Wait()
	return s.most
}
