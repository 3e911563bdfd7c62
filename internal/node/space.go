package node

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/kv"
)

// space watches whether this node has room for more. While it has none, puts and
// grants of leases are refused here at once, and in the whole cluster as soon as
// it knows (kv.AlarmNoSpace): what asks for room must not reach the engine or the
// log when the disk is full, because they could not go on. What was let in before
// is finished; that, and all that gives room back, is what the reserve is for.
type space struct {
	// full says that this node has no room. It is read with every write.
	full atomic.Bool
	// seen is the last measurement.
	seen atomic.Pointer[measurement]
	// held says that the engine is behind.
	held atomic.Bool
	// told says that the log has been told of a lack of space, and not yet of its
	// end. Only runSpace touches it.
	told bool
}

// measurement is how much room there was at some moment.
type measurement struct {
	// used and inUse are the engine's (engine.DiskUsage), quota bounds used; 0 is
	// no bound.
	usedBytes, inUseBytes, quotaBytes int64
	// free is what the file system still has for the data directory, reserve the
	// part of it that is kept. Both are 0 where there is no file system.
	freeBytes, reserveBytes int64
}

const (
	// spacePause lies between two measurements.
	spacePause = 200 * time.Millisecond
	// alarmTimeout bounds a try to raise the alarm.
	alarmTimeout = 2 * time.Second
)

// Of a file system, a twentieth is kept free, up to 256 MiB. On a small one it is
// more, up to a quarter: one compaction of the engine takes tens of MiB, however
// little is stored.
const (
	reserveDivisor      = 20
	reserveBytesMax     = 256 << 20
	reserveSmallDivisor = 4
	reserveSmallBytes   = 128 << 20
	reserveBytesMin     = 16 << 20
)

// reserveOf is how much of a file system is kept free.
func reserveOf(totalBytes int64) int64 {
	return max(reserveBytesMin, min(totalBytes/reserveSmallDivisor, reserveSmallBytes),
		min(totalBytes/reserveDivisor, reserveBytesMax))
}

// The parts that the log and the engine write at a time are smaller on a small
// disk, so that the reserve holds some of them.
const (
	partDivisor  = 64
	partBytesMin = 4 << 20
	partBytesMax = 64 << 20
)

func partOf(totalBytes int64) int64 {
	return max(partBytesMin, min(totalBytes/partDivisor, partBytesMax))
}

// partBytes is the size of a segment of the log, of a memtable, and of what a
// shard's log keeps for slow followers at most.
func (n *Node) partBytes() int64 {
	usage, ok := n.diskUsage()
	if !ok {
		return partBytesMax
	}
	return partOf(int64(usage.TotalBytes))
}

// diskUsage is that of the file system, if it is known.
func (n *Node) diskUsage() (vfs.DiskUsage, bool) {
	usage, err := n.dir.fs.GetDiskUsage(n.dir.path)
	return usage, err == nil && usage.TotalBytes > 0
}

// measure looks how much room there is.
func (n *Node) measure() *measurement {
	m := &measurement{quotaBytes: n.cfg.QuotaBytes}
	m.usedBytes, m.inUseBytes = n.engine.DiskUsage()
	if usage, ok := n.diskUsage(); ok {
		m.freeBytes, m.reserveBytes = int64(usage.AvailBytes), reserveOf(int64(usage.TotalBytes))
	}
	return m
}

func (m *measurement) full() bool {
	return m.quotaBytes > 0 && m.usedBytes > m.quotaBytes || m.freeBytes < m.reserveBytes
}

// runSpace measures until the node stops.
func (n *Node) runSpace() {
	tick := time.NewTicker(spacePause)
	defer tick.Stop()
	for {
		n.lookAtEngine()
		n.lookAtSpace()
		select {
		case <-tick.C:
		case <-n.stopping.Done():
			return
		}
	}
}

// lookAtSpace measures, and raises the alarm as long as there is no room. It is
// not cleared here: somebody is to look into it.
func (n *Node) lookAtSpace() {
	m := n.measure()
	n.space.seen.Store(m)
	full := m.full()
	n.space.full.Store(full)
	alarm := kv.Alarm{Node: n.membership.self.ID, Kind: kv.AlarmNoSpace}
	raised := slices.Contains(n.alarms(), alarm)
	n.logSpace(m, full || raised)
	if !full || raised || len(n.threads.get()) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(n.stopping, alarmTimeout)
	defer cancel()
	if _, err := n.RaiseAlarm(ctx, alarm); err != nil {
		n.log.Debug("alarm not raised", "error", err) // it is tried again
	}
}

// logSpace tells once that this node has no space left, and once that all is well
// again: that there is some, and that somebody has cleared the alarm.
func (n *Node) logSpace(m *measurement, lacking bool) {
	if n.space.told == lacking {
		return
	}
	n.space.told = lacking
	facts := []any{
		"used_bytes", m.usedBytes, "quota_bytes", m.quotaBytes,
		"free_bytes", m.freeBytes, "reserve_bytes", m.reserveBytes,
	}
	if lacking {
		n.log.Warn("no space left: puts and lease grants are refused", facts...)
		return
	}
	n.log.Info("there is space again, and the alarm is cleared", facts...)
}

// storage is what kv.Status says of the last measurement.
func (s *space) storage() kv.StorageStatus {
	m := s.seen.Load()
	if m == nil {
		return kv.StorageStatus{}
	}
	return kv.StorageStatus{
		Bytes: m.usedBytes, InUseBytes: m.inUseBytes, QuotaBytes: m.quotaBytes,
	}
}

// checkRoom refuses what may need room, while a node of the cluster has none.
func (n *Node) checkRoom() error {
	if n.space.full.Load() {
		return n.noSpace(n.membership.self.ID)
	}
	for _, a := range n.alarms() {
		if a.Kind == kv.AlarmNoSpace {
			return n.noSpace(a.Node)
		}
	}
	return nil
}

func (n *Node) noSpace(on kv.NodeID) error {
	for _, node := range n.cfg.Cluster.nodes() {
		if node.ID == on {
			return fmt.Errorf("%w: on node %d, %s", kv.ErrNoSpace, uint64(on), node.Name)
		}
	}
	return fmt.Errorf("%w: on node %d", kv.ErrNoSpace, uint64(on))
}
