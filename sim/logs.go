package sim

import (
	"fmt"

	"github.com/miruvor/miruvor/internal/raftlog"
)

const (
	// segmentsMax is how many small segments a log may have that is mostly garbage: it
	// begins to rewrite beyond some, and frees others only when its last one is full.
	segmentsMax = 10
	// logWrites fill many of the smallest segments.
	logWrites = 512
)

// checkLogs checks that no log keeps what nobody needs: as one group goes on writing, what
// the others have in old segments is moved, and the segments go. A short run fills but
// the smallest.
func (c *cluster) checkLogs() error {
	for _, id := range c.order {
		if err := c.checkLog(c.nodes[id]); err != nil {
			return fmt.Errorf("%v: %w", id, err)
		}
	}
	return nil
}

func (c *cluster) checkLog(n *node) error {
	if n.log.Metrics()["rewritten_bytes_total"] > 0 {
		c.probe.reached(SegmentMoved)
	}
	var writer raftlog.Record
	for _, s := range c.allShards() {
		if n.threadOf(s.ID).worker.Replica(s.ID) != nil {
			writer = raftlog.Record{Shard: s.ID, Hard: n.log.Group(s.ID).HardState()}
		}
	}
	if writer.Hard == nil || c.cfg.Sizes.Segment > segmentSmallest {
		return nil
	}
	for range logWrites {
		if err := n.log.Append([]raftlog.Record{writer}); err != nil {
			return err
		}
	}
	m := n.log.Metrics()
	// It rewrites what is more than half garbage, by what is filled of the segments.
	if m["segments"] > segmentsMax && 3*m["live_bytes"] < m["disk_bytes"] {
		return fmt.Errorf("its log keeps %v segments, %v bytes, of which %v are of use",
			m["segments"], m["disk_bytes"], m["live_bytes"])
	}
	return nil
}
