package node

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/transport"
	"github.com/miruvor/miruvor/internal/watch"
	"github.com/miruvor/miruvor/internal/wire"
	"github.com/miruvor/miruvor/internal/worker"
)

// Metrics describes the node to Prometheus. Collecting asks each worker once
// and reads counters; it touches no disk. It collects nothing after Stop, which
// must not run at the same time.
func (n *Node) Metrics() prometheus.Collector { return collector{n} }

// collector reads a node's numbers when it is asked to.
type collector struct{ n *Node }

var _ prometheus.Collector = collector{}

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range nodeMetrics {
		ch <- m.desc
	}
	for _, m := range engineMetrics {
		ch <- m.desc
	}
	for _, m := range logMetrics {
		ch <- m.desc
	}
	ch <- logSync
	for _, e := range c.n.entrances {
		e.metrics.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	select {
	case <-c.n.stopped:
		return
	default:
	}
	out := sink{ch}
	for i, t := range c.n.threads.get() {
		var load worker.Load
		if !t.call(func(_ wire.Instant, w *worker.Worker) { load = w.Load() }) {
			return
		}
		out.worker(i, &load, t.inbox.len())
	}
	if h := c.n.hub.Load(); h != nil {
		load, ok := h.load()
		if !ok {
			return
		}
		out.watches(&load)
	}
	out.space(&c.n.space)
	out.alarms(c.n.alarms())
	for _, p := range c.n.transport.Peers() {
		out.peer(&p)
	}
	open, bytes := c.n.transport.Relays()
	out.put(relayConnections, float64(open))
	out.put(relayBytes, float64(bytes))
	out.put(startTook, c.n.opened.log.Seconds(), "log")
	out.put(startTook, c.n.opened.engine.Seconds(), "engine")
	out.set(engineMetrics, c.n.engine.Metrics())
	out.log(c.n.raftlog.Metrics())
	for _, e := range c.n.entrances {
		e.metrics.Collect(ch)
	}
}

// sink sends metrics on.
type sink struct{ ch chan<- prometheus.Metric }

func (s sink) put(m metric, value float64, labels ...string) {
	s.ch <- prometheus.MustNewConstMetric(m.desc, m.kind, value, labels...)
}

func (s sink) worker(index int, l *worker.Load, inbox int) {
	label := strconv.Itoa(index)
	s.put(workerCalls, float64(l.Calls), label)
	s.put(workerInbox, float64(inbox), label)
	s.put(workerCrossed, float64(l.Crossed), label)
	s.put(workerCrossedAgain, float64(l.CrossedAgain), label)
	if l.Oracle.Here {
		s.oracle(&l.Oracle)
	}
	for i := range l.Shards {
		s.shard(&l.Shards[i])
		if l.Shards[i].ID == kv.SystemShard {
			s.leases(&l.Leases)
		}
	}
}

func (s sink) shard(l *worker.ShardLoad) {
	shard := l.ID.String()
	s.put(shardLeader, float64(l.Leader), shard)
	s.put(shardLeading, number(l.Leading), shard)
	s.put(shardTerm, float64(l.Term), shard)
	s.put(shardCommit, float64(l.Commit), shard)
	s.put(shardApplied, float64(l.Applied), shard)
	s.put(shardRevision, float64(l.Revision), shard)
	s.put(shardRequests, float64(l.Requests), shard)
	s.put(shardTxnBytes, float64(l.TxnBytes), shard)
	s.put(shardLogBytes, float64(l.LogBytes), shard)
	s.put(shardCompacted, float64(l.Compacted), shard)
	s.put(shardSweeping, number(l.Sweeping), shard)
	s.put(shardSweptVersions, float64(l.SweptVersions), shard)
	s.put(shardSweptBytes, float64(l.SweptBytes), shard)
	s.put(shardLocks, float64(l.Locks), shard)
	s.put(shardLockWaiters, float64(l.LockWaiters), shard)
	s.put(shardSettled, float64(l.Settled), shard)
	for _, r := range l.Replicas {
		s.put(shardLag, float64(r.Lag), shard, r.Node.String())
	}
}

func (s sink) oracle(l *worker.OracleLoad) {
	s.put(oracleServing, number(l.Serving))
	s.put(oracleLast, float64(l.Last))
	s.put(oracleMark, float64(l.Mark))
	s.put(oracleWaiting, float64(l.Waiting))
}

func (s sink) leases(l *worker.LeaseLoad) {
	s.put(leasesHeld, float64(l.Held))
	s.put(leasesRevoking, float64(l.Revoking))
	s.put(leasesWaiting, float64(l.Waiting))
	s.put(leasesGranted, float64(l.Granted))
	s.put(leasesKeptAlive, float64(l.Renewed))
	s.put(leasesExpired, float64(l.Expired))
	s.put(leaseCheckpoints, float64(l.Checkpoints))
}

func (s sink) watches(l *watch.Load) {
	s.put(watchStreams, float64(l.Streams))
	s.put(watchWatches, float64(l.Watches))
	s.put(watchSlow, float64(l.Slow))
	s.put(watchQueueBytes, float64(l.QueueBytes))
	s.put(watchEvents, float64(l.Events))
	s.put(watchChases, float64(l.Chases))
}

func (s sink) space(sp *space) {
	m := sp.seen.Load()
	if m == nil {
		return
	}
	s.put(spaceUsed, float64(m.usedBytes))
	s.put(spaceQuota, float64(m.quotaBytes))
	s.put(spaceFree, float64(m.freeBytes))
	s.put(spaceReserve, float64(m.reserveBytes))
	s.put(spaceFull, number(sp.full.Load()))
}

func (s sink) alarms(raised []kv.Alarm) {
	for _, a := range raised {
		s.put(alarmRaised, 1, a.Node.String(), a.Kind.String())
	}
}

func (s sink) peer(p *transport.PeerStatus) {
	peer := p.Node.ID.String()
	s.put(peerConnected, number(p.Connected), peer)
	s.put(peerDetour, number(p.Via != 0), peer)
	s.put(peerQueued, float64(p.Queued), peer)
	n := &p.Counters
	s.put(peerSentMessages, float64(n.MessagesSent), peer)
	s.put(peerSentFrames, float64(n.FramesSent), peer)
	s.put(peerSentBytes, float64(n.BytesSent), peer)
	s.put(peerReceivedMessages, float64(n.MessagesReceived), peer)
	s.put(peerReceivedFrames, float64(n.FramesReceived), peer)
	s.put(peerReceivedBytes, float64(n.BytesReceived), peer)
	s.put(peerDropped, float64(n.Dropped), peer)
	s.put(peerMalformed, float64(n.Malformed), peer)
	s.put(peerConnects, float64(n.Connects), peer)
}

// set sends those of values on that are declared.
func (s sink) set(declared metricSet, values map[string]float64) {
	for name, m := range declared {
		if value, ok := values[name]; ok {
			s.put(m, value)
		}
	}
}

// log sends the log's metrics on, among them the histogram of its syncs.
func (s sink) log(values map[string]float64) {
	s.set(logMetrics, values)
	buckets := map[float64]uint64{}
	for name, value := range values {
		if bound, ok := bucketBound(name); ok {
			buckets[bound] = uint64(value)
		}
	}
	s.ch <- prometheus.MustNewConstHistogram(logSync, uint64(values[logSyncCount]),
		values[logSyncSum], buckets)
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
