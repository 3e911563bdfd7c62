package raftlog

import (
	"fmt"
	"sync"
	"time"
)

// syncBuckets are the upper bounds of the histogram of sync times.
var syncBuckets = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 100 * time.Millisecond, time.Second,
}

// stats counts what the log does.
type stats struct {
	mu          sync.Mutex
	syncs       uint64
	syncTime    time.Duration
	syncBuckets [len(syncBuckets)]uint64
	batches     uint64
	appended    int64
	rewritten   int64
	segments    int
	spares      int
	diskBytes   int64
	liveBytes   int64
}

func (s *stats) countSync(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.syncs++
	s.syncTime += d
	for i, bound := range syncBuckets {
		if d <= bound {
			s.syncBuckets[i]++
		}
	}
}

func (s *stats) countAppend(batches uint64, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches += batches
	s.appended += bytes
}

func (s *stats) countRewrite(bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rewritten += bytes
}

// updateStats notes the sizes; the writer calls it.
func (l *Log) updateStats() {
	s := &l.stats
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segments, s.spares = len(l.files.segments), len(l.files.spares)
	s.diskBytes, s.liveBytes = 0, 0
	for _, seg := range l.files.segments {
		s.diskBytes += seg.filled
		s.liveBytes += seg.liveBytes
	}
}

// Metrics describes the log by numbers, name to value. Names are in
// Prometheus' style with their unit and without a prefix; sync_seconds is a
// histogram with cumulative buckets.
func (l *Log) Metrics() map[string]float64 {
	s := &l.stats
	s.mu.Lock()
	defer s.mu.Unlock()
	m := map[string]float64{
		"syncs_total":           float64(s.syncs),
		"sync_seconds_sum":      s.syncTime.Seconds(),
		"sync_seconds_count":    float64(s.syncs),
		"batches_total":         float64(s.batches),
		"appended_bytes_total":  float64(s.appended),
		"rewritten_bytes_total": float64(s.rewritten),
		"segments":              float64(s.segments),
		"spare_segments":        float64(s.spares),
		"disk_bytes":            float64(s.diskBytes),
		"live_bytes":            float64(s.liveBytes),
		"live_ratio":            0,
		"cache_bytes":           float64(l.cached.Load()),
	}
	if s.diskBytes > 0 {
		m["live_ratio"] = float64(s.liveBytes) / float64(s.diskBytes)
	}
	for i, bound := range syncBuckets {
		name := fmt.Sprintf("sync_seconds_bucket{le=%q}", fmt.Sprint(bound.Seconds()))
		m[name] = float64(s.syncBuckets[i])
	}
	return m
}
