package pebble

// DiskUsage implements engine.Engine. What is in memtables counts, too: it will be
// on disk, and nothing may stop it then.
func (e *Engine) DiskUsage() (bytes, inUse int64) {
	m := e.db.Metrics()
	used := m.DiskSpaceUsage() + uint64(e.durable.unflushed.Load()+e.durable.flushing.Load())
	idle := m.WAL.ObsoletePhysicalSize + m.Table.ObsoleteSize + m.Table.ZombieSize +
		m.Table.Garbage.PointDeletionsBytesEstimate + m.Table.Garbage.RangeDeletionsBytesEstimate
	return int64(used), int64(used - min(idle, used))
}

// IsBehind implements engine.Engine. Memtables count by their size: the first of them
// are small, and not flushed one by one.
func (e *Engine) IsBehind() bool {
	m := e.db.Metrics()
	return m.MemTable.Size >= memtablesBehind*e.options.MemTableSize ||
		int(m.Levels[0].Sublevels) >= l0Behind
}

// Metrics implements engine.Engine.
func (e *Engine) Metrics() map[string]float64 {
	m := e.db.Metrics()
	return map[string]float64{
		"disk_bytes":               float64(m.DiskSpaceUsage()),
		"memtable_bytes":           float64(m.MemTable.Size),
		"tables":                   float64(m.Total().TablesCount),
		"l0_tables":                float64(m.Levels[0].TablesCount),
		"read_amplification":       float64(m.ReadAmp()),
		"flushes_total":            float64(m.Flush.Count),
		"ingests_total":            float64(m.Ingest.Count),
		"ingested_tables_total":    float64(m.Total().TablesIngested),
		"compactions_total":        float64(m.Compact.Count),
		"compactions_failed_total": float64(m.Compact.FailedCount),
		"compaction_debt_bytes":    float64(m.Compact.EstimatedDebt),
		"cache_bytes":              float64(m.BlockCache.Size),
		"cache_hits_total":         float64(m.BlockCache.Hits),
		"cache_misses_total":       float64(m.BlockCache.Misses),
		"filter_hits_total":        float64(m.Filter.Hits),
		"filter_misses_total":      float64(m.Filter.Misses),
		"snapshots":                float64(m.Snapshots.Count),
		"iterators":                float64(m.TableIters),
		"reclaims_total":           float64(e.events.reclaims.Load()),
		"garbage_bytes": float64(m.Table.Garbage.PointDeletionsBytesEstimate +
			m.Table.Garbage.RangeDeletionsBytesEstimate),
		"slow_writes_total":       float64(e.events.slowWrites.Load()),
		"write_stalls_total":      float64(e.events.writeStalls.Load()),
		"background_errors_total": float64(e.events.failures.Load()),
		"corruptions_total":       float64(e.events.corruptions.Load()),
	}
}
