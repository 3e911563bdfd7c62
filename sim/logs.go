package sim

import (
	"fmt"

	"github.com/miruvor/miruvor/internal/raftlog"
)

const (
	// segmentsIdle is how many segments a log may have that are mostly garbage: it begins
	// to rewrite beyond some, and frees others only when its last one is full.
	segmentsIdle = 12
	// logRounds of logWrites appends have to make room.
	logRounds, logWrites = 16, 32
)

// checkLogs checks that no log keeps what nobody needs: as one group goes on writing, what
// the others have in old segments is moved, and the segments go.
func (c *cluster) checkLogs() error {
	for _, id := range c.order {
		if err := c.checkLog(c.nodes[id]); err != nil {
			return fmt.Errorf("%v: %w", id, err)
		}
	}
	return nil
}

func (c *cluster) checkLog(n *node) error {
	var writer raftlog.Record
	for _, s := range c.allShards() {
		if n.threadOf(s.ID).worker.Replica(s.ID) != nil {
			writer = raftlog.Record{Shard: s.ID, Hard: n.log.Group(s.ID).HardState()}
		}
	}
	if writer.Hard == nil {
		return nil
	}
	for range logRounds {
		m := n.log.Metrics()
		if m["rewritten_bytes_total"] > 0 {
			c.probe.reached(SegmentMoved)
		}
		if m["segments"] <= segmentsIdle || 2*m["live_bytes"] > m["disk_bytes"] {
			return nil
		}
		for range logWrites {
			if err := n.log.Append([]raftlog.Record{writer}); err != nil {
				return err
			}
		}
	}
	m := n.log.Metrics()
	return fmt.Errorf("its log keeps %v segments, %v bytes, of which %v are of use",
		m["segments"], m["disk_bytes"], m["live_bytes"])
}
