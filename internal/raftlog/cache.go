package raftlog

import (
	"math/bits"

	"go.etcd.io/raft/v3/raftpb"
)

// entryOverheadBytes is what an entry counts in the cache beside its data.
const entryOverheadBytes = 128

func cachedBytes(entries []*raftpb.Entry) (n int64) {
	for _, e := range entries {
		n += int64(len(e.Data)) + entryOverheadBytes
	}
	return n
}

// recentFirst is the index of the first entry in memory, or last+1.
func (g *Group) recentFirst() uint64 {
	return g.last + 1 - uint64(len(g.recent))
}

// addRecent keeps entries, which are the newest of the log and begin at first.
// The group's last is already theirs.
func (g *Group) addRecent(first uint64, entries []*raftpb.Entry) {
	if len(entries) == 0 {
		g.cutRecent(0)
		return
	}
	g.recent = append(g.recent, entries...)
	g.countRecent(cachedBytes(entries))
}

// dropRecent forgets the oldest n entries in memory.
func (g *Group) dropRecent(n int) {
	g.countRecent(-cachedBytes(g.recent[:n]))
	clear(g.recent[:n])
	g.recent = g.recent[n:]
	if len(g.recent) == 0 {
		g.recent = nil
	}
}

// cutRecent keeps the oldest n entries in memory only.
func (g *Group) cutRecent(n int) {
	g.countRecent(-cachedBytes(g.recent[n:]))
	clear(g.recent[n:])
	g.recent = g.recent[:n]
}

func (g *Group) countRecent(bytes int64) {
	g.recentBytes += bytes
	g.log.cached.Add(bytes)
}

// evict forgets entries in memory until they fit their bound again. It goes
// around the groups and takes the older half from each.
func (l *Log) evict() {
	groups := l.groupList()
	for idle := 0; l.cached.Load() > l.opts.CacheBytes && idle < len(groups); {
		l.evictHand = (l.evictHand + 1) % len(groups)
		if idle++; groups[l.evictHand].evictHalf() {
			idle = 0
		}
	}
}

// evictHalf forgets the older half of the entries in memory, if there are any.
func (g *Group) evictHalf() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := len(g.recent)
	if n > 0 {
		g.dropRecent((n + 1) / 2)
	}
	return n > 0
}

// protoBytes is proto.Size of an entry, which is how raft counts.
func protoBytes(e *raftpb.Entry) uint64 {
	n := 0
	if e.Type != nil {
		n += 1 + uvarintBytes(uint64(*e.Type))
	}
	if e.Term != nil {
		n += 1 + uvarintBytes(*e.Term)
	}
	if e.Index != nil {
		n += 1 + uvarintBytes(*e.Index)
	}
	if e.Data != nil {
		n += 1 + uvarintBytes(uint64(len(e.Data))) + len(e.Data)
	}
	return uint64(n)
}

func uvarintBytes(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }
