package node

import (
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// metric is a number that the node tells, declared once with its unit.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

// metricSet are the metrics of a part, by the names that it calls them.
type metricSet map[string]metric

// nodeMetrics are those declared with declare.
var nodeMetrics []metric

// declare makes a metric. A name that ends in _total is a counter's.
func declare(name, help string, labels ...string) metric {
	m := describe(name, help, labels...)
	nodeMetrics = append(nodeMetrics, m)
	return m
}

func describe(name, help string, labels ...string) metric {
	kind := prometheus.GaugeValue
	if strings.HasSuffix(name, "_total") {
		kind = prometheus.CounterValue
	}
	return metric{prometheus.NewDesc("miruvor_"+name, help, labels, nil), kind}
}

var (
	shardLeader = declare("shard_leader_node",
		"Node id of the shard's leader as this node knows it, 0 for none.", "shard")
	shardLeading = declare("shard_leading",
		"1 if this node leads the shard and serves it, else 0.", "shard")
	shardTerm    = declare("raft_term", "Raft term of the shard.", "shard")
	shardCommit  = declare("raft_commit_index", "Last committed log entry.", "shard")
	shardApplied = declare("raft_applied_index",
		"Last log entry that this replica has applied.", "shard")
	shardRevision = declare("shard_revision",
		"Highest revision that this replica has applied.", "shard")
	shardLag = declare("raft_follower_lag_entries",
		"Log entries that a replica lacks; told by the leader alone.", "shard", "node")
	shardRequests = declare("shard_requests",
		"Transactions and reads that wait in the shard's leader.", "shard")
	shardTxnBytes = declare("shard_queue_bytes",
		"Approximate bytes of the transactions that wait in the shard's leader.", "shard")
	shardLogBytes = declare("shard_log_bytes",
		"Bytes of the shard's entries in the Raft log.", "shard")
	shardCompacted = declare("shard_compacted_revision",
		"Compaction floor: the oldest revision that can be read, 0 for all.", "shard")
	shardSweeping = declare("shard_sweeping",
		"1 while this replica deletes what compaction made superfluous, else 0.", "shard")
	shardSweptVersions = declare("shard_swept_versions_total",
		"Versions deleted after compactions.", "shard")
	shardSweptBytes = declare("shard_swept_bytes_total",
		"Approximate bytes of keys and values deleted after compactions.", "shard")
	shardLocks = declare("shard_txn_locks",
		"Transactions over several shards that hold keys of the shard.", "shard")
	shardLockWaiters = declare("shard_txn_lock_waiters",
		"Transactions and reads that wait for such keys; told by the leader alone.", "shard")
	shardSettled = declare("shard_txn_settled_total",
		"Transactions over several shards that this node, as the leader of their primary "+
			"shard, gave up because nobody decided them for a second.", "shard")
)

var (
	workerCalls = declare("worker_requests",
		"Requests of this node's clients that are not answered yet.", "worker")
	workerInbox = declare("worker_inbox_events",
		"Events that wait for a worker.", "worker")
	workerCrossed = declare("cross_shard_txns_total",
		"Transactions over several shards that clients began on this node.", "worker")
	workerCrossedAgain = declare("cross_shard_txn_restarts_total",
		"Times that such a transaction began anew: it met others, or was given up.", "worker")
)

var (
	oracleServing = declare("oracle_serving",
		"1 if this node hands revisions out, else 0.")
	oracleLast = declare("oracle_last_revision",
		"Revision handed out last, 0 while this node does not serve.")
	oracleMark = declare("oracle_mark_revision",
		"Highest revision that may be handed out before the next commit of a mark, "+
			"0 while this node does not serve.")
	oracleWaiting = declare("oracle_waiting_requests",
		"Requests for revisions that wait for a mark to be committed.")
)

// Leases are looked after where the system shard is led: elsewhere there are none,
// and the counters stand still.
var (
	leasesHeld = declare("leases",
		"Leases that this node looks after, as the leader of the system shard.")
	leasesRevoking = declare("leases_revoking",
		"Leases that are being revoked, or have expired, and may still have keys.")
	leasesWaiting = declare("lease_waiting_requests",
		"Requests about leases that wait for the log.")
	leasesGranted = declare("leases_granted_total",
		"Leases granted here.")
	leasesKeptAlive = declare("lease_keep_alives_total",
		"Leases kept alive here.")
	leasesExpired = declare("leases_expired_total",
		"Leases whose time was up while this node looked after them.")
	leaseCheckpoints = declare("lease_checkpoints_total",
		"Records of the time left, for the next leader.")
)

var (
	watchStreams = declare("watch_streams", "Open streams of watches.")
	watchWatches = declare("watches", "Open watches.")
	watchSlow    = declare("watches_slow",
		"Watches that are not level with the store: new, catching up, or not read.")
	watchQueueBytes = declare("watch_queue_bytes",
		"Approximate bytes of events that were delivered and not read.")
	watchEvents = declare("watch_events_total", "Events delivered to watches.")
	watchChases = declare("watch_catch_ups_total",
		"Times that a watch caught up with the store by itself.")
)

var (
	peerConnected = declare("peer_connected",
		"1 if messages can be sent to the peer, else 0.", "node")
	peerDetour = declare("peer_detour",
		"1 if the peer is reached through another node only, else 0.", "node")
	relayConnections = declare("relay_connections",
		"Connections of one peer to another that lead through this node.")
	relayBytes = declare("relay_bytes_total",
		"Bytes that passed through this node from one peer to another.")
	peerQueued = declare("peer_queued_messages",
		"Messages that wait to be sent to the peer.", "node")
	peerSentMessages = declare("peer_sent_messages_total",
		"Messages sent to the peer.", "node")
	peerSentFrames = declare("peer_sent_frames_total",
		"Frames sent to the peer, each a batch of messages.", "node")
	peerSentBytes = declare("peer_sent_bytes_total",
		"Bytes sent to the peer, snapshots included.", "node")
	peerReceivedMessages = declare("peer_received_messages_total",
		"Messages received from the peer.", "node")
	peerReceivedFrames = declare("peer_received_frames_total",
		"Frames received from the peer.", "node")
	peerReceivedBytes = declare("peer_received_bytes_total",
		"Bytes received from the peer, snapshots included.", "node")
	peerDropped = declare("peer_dropped_messages_total",
		"Messages to the peer that were certainly not sent.", "node")
	peerMalformed = declare("peer_malformed_messages_total",
		"Messages of the peer that could not be read.", "node")
	peerConnects = declare("peer_connects_total",
		"Connections made to the peer.", "node")
)

var (
	spaceUsed = declare("storage_used_bytes",
		"Bytes that the engine takes on disk, as its quota counts them.")
	spaceQuota = declare("storage_quota_bytes",
		"The most that they may be, 0 if only the disk bounds them.")
	spaceFree = declare("storage_free_bytes",
		"Bytes that the file system of the data directory still has, 0 if there is none.")
	spaceReserve = declare("storage_reserve_bytes",
		"Bytes of it that are kept free: with less, this node has no space left.")
	spaceFull = declare("storage_full",
		"1 while this node has no space left and refuses puts, else 0.")
	alarmRaised = declare("alarm",
		"1 for each alarm of the cluster that this node knows of.", "node", "kind")
)

// startTook is told of the parts log and engine.
var startTook = declare("start_seconds",
	"Time that it took to read and open a part of the storage at the start.", "part")

// engineMetrics declares what engine.Metrics tells.
var engineMetrics = declareSet("engine_", map[string]string{
	"disk_bytes":               "Bytes of the engine's files.",
	"memtable_bytes":           "Bytes of the memtables, which hold what is not flushed.",
	"tables":                   "Sorted tables on disk.",
	"l0_tables":                "Tables of the first level, which may overlap.",
	"read_amplification":       "Layers that a read looks into.",
	"flushes_total":            "Memtables flushed.",
	"ingests_total":            "Snapshots taken in.",
	"ingested_tables_total":    "Tables that came with a snapshot.",
	"compactions_total":        "Compactions done.",
	"compactions_failed_total": "Compactions that failed.",
	"compaction_debt_bytes":    "Estimated bytes that compactions still have to rewrite.",
	"cache_bytes":              "Bytes of blocks in the cache.",
	"cache_hits_total":         "Blocks found in the cache.",
	"cache_misses_total":       "Blocks read from disk.",
	"filter_hits_total":        "Tables that a filter spared a read of.",
	"filter_misses_total":      "Tables that a filter let a read through to.",
	"snapshots":                "Frozen states that are being read.",
	"iterators":                "Open iterators over tables.",
	"reclaims_total":           "Spans compacted to give the space of deletions back.",
	"garbage_bytes":            "Estimated bytes in tables that deletions wait to give back.",
	"slow_writes_total":        "Disk operations that took suspiciously long.",
	"write_stalls_total":       "Times that writes waited for flushes or compactions.",
	"background_errors_total":  "Failures in the engine's background work.",
	"corruptions_total":        "Blocks that failed their checks.",
})

// logMetrics declares what raftlog.Metrics tells, but for its histogram.
var logMetrics = declareSet("log_", map[string]string{
	"syncs_total":           "Syncs of the Raft log to stable storage.",
	"batches_total":         "Batches appended to the log, each with the records of many shards.",
	"appended_bytes_total":  "Bytes appended to the log, rewritten ones included.",
	"rewritten_bytes_total": "Bytes of live tails that were written again to free old segments.",
	"segments":              "Segments of the log.",
	"spare_segments":        "Segments ready to be used again.",
	"disk_bytes":            "Bytes of the log's segments.",
	"live_bytes":            "Bytes of the entries that are needed.",
	"live_ratio":            "Part of the log's bytes that is needed, 0 to 1.",
	"cache_bytes":           "Bytes of the entries kept in memory.",
})

func declareSet(prefix string, help map[string]string) metricSet {
	set := metricSet{}
	for name, text := range help {
		set[name] = describe(prefix+name, text)
	}
	return set
}

// logSync is the histogram of the log's sync times.
var logSync = prometheus.NewDesc("miruvor_log_sync_seconds",
	"Time of a sync of the Raft log to stable storage, in seconds.", nil, nil)

// What raftlog calls the parts of the histogram.
const (
	logSyncSum    = "sync_seconds_sum"
	logSyncCount  = "sync_seconds_count"
	logSyncBucket = "sync_seconds_bucket{le="
)

// bucketBound is the upper bound in the name of a histogram's bucket.
func bucketBound(name string) (seconds float64, ok bool) {
	quoted, ok := strings.CutPrefix(name, logSyncBucket)
	if !ok {
		return 0, false
	}
	text, err := strconv.Unquote(strings.TrimSuffix(quoted, "}"))
	if err != nil {
		return 0, false
	}
	seconds, err = strconv.ParseFloat(text, 64)
	return seconds, err == nil
}
