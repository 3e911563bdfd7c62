package sim

import (
	"hash/crc32"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/wire"
)

// network carries messages between nodes, encoded as on a real one. It
// delays, drops, repeats and reorders them. Only a client's write is
// never repeated: the transport sends a request at most once, and writes
// rest on that.
type network struct {
	c *cluster
	// cut holds the links that are down, by direction.
	cut map[link]bool
	// last is when the last message of a link arrives.
	last map[link]Time
	// apart holds the replicas whose raft messages are lost, both ways: by shard, on
	// which node. Whatever else these nodes say arrives.
	apart map[kv.ShardID]kv.NodeID
	// sent counts messages.
	sent int
}

type link struct{ from, to kv.NodeID }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sender hears of messages that never left.
type sender interface{ lost(m *wire.Message) }

func (n *network) send(from *node, by sender, to kv.NodeID, m wire.Message) {
	c := n.c
	c.probe.sent(from, to, &m)
	if to == from.id {
		// From thread to thread nothing is lost, nor overtaken.
		l := link{to, to}
		n.last[l] = max(n.last[l], c.now+Time(c.between(0, 20*time.Microsecond)))
		from.after(time.Duration(n.last[l]-c.now), func() { from.receive(to, m) })
		return
	}
	peer := c.nodes[to]
	data := wire.AppendMessage(make([]byte, 0, m.SizeHint()), &m)
	n.checkFaithful(&m, data)
	l := link{from.id, to}
	if n.cut[l] || peer.state == down {
		n.lose(from, by, peer, m)
		return
	}
	if n.isApart(l, &m) || c.chance(c.cfg.Net.Drop) {
		c.probe.struck(FaultDrop)
		c.trace.note("drop", uint64(from.id), uint64(to), uint64(len(data)))
		return
	}
	if late := c.lag(&m); late > 0 {
		c.probe.struck(FaultLag)
		n.carry(l, data, late)
		if c.chance(0.5) {
			return
		}
	}
	n.carry(l, data, 0)
	if c.chance(c.cfg.Net.Duplicate) && !isWrite(&m) {
		c.probe.struck(FaultRepeat)
		n.carry(l, data, 0)
	}
}

// isApart reports whether a message is from or for a replica that is kept apart.
func (n *network) isApart(l link, m *wire.Message) bool {
	if m.Raft == nil {
		return false
	}
	node := n.apart[m.Raft.Shard]
	return node != 0 && (node == l.from || node == l.to)
}

// carry brings a message to its receiver. One that is late is overtaken by others.
func (n *network) carry(l link, data []byte, late time.Duration) {
	at := n.c.now + Time(n.delay(l)+late)
	if n.c.cfg.Net.Ordered && late == 0 {
		at = max(at, n.last[l])
		n.last[l] = at
	}
	n.c.at(at, func() {
		peer := n.c.nodes[l.to]
		if n.cut[l] || peer.state == down || late > 0 && n.c.healed {
			return
		}
		m, rest, err := wire.DecodeMessage(data)
		if err != nil || len(rest) > 0 {
			n.c.failf("message from %v to %v does not decode: %v", l.from, l.to, err)
		}
		sum := crc32.Checksum(data, castagnoli)
		n.c.trace.note("deliver", uint64(l.to), uint64(l.from), uint64(sum))
		if n.c.trace.wordy() && (!n.c.cfg.Brief || telling(&m)) {
			n.c.trace.sayf("%v ← %v %s", l.to, l.from, describe(&m))
		}
		peer.receive(l.from, m)
	})
}

func (n *network) delay(l link) time.Duration {
	net := &n.c.cfg.Net
	d := net.DelayMin + n.c.around(net.DelayMean)
	if n.c.chance(net.Slow) {
		d += n.c.between(0, net.DelayMax)
	}
	return d
}

// lose drops a message for which there is no connection. The sender may learn
// that it never left, or later that the node can't be reached, or nothing; by is
// nil for a greeting.
func (n *network) lose(from *node, by sender, peer *node, m wire.Message) {
	c := n.c
	c.probe.struck(FaultLoss)
	c.trace.note("lose", uint64(peer.id), 0, 0)
	if by == nil {
		return
	}
	switch c.rng.IntN(4) {
	case 0:
		from.after(c.around(100*time.Microsecond), func() { by.lost(&m) })
	case 1:
		from.after(c.around(50*time.Millisecond), func() { from.unreachable(peer.id) })
	}
}

// telling reports whether a message is a step of a transaction over several shards:
// the others come all the time.
func telling(m *wire.Message) bool {
	step := stepOf(m)
	return step != noStep && step != stepNumbered
}

func isWrite(m *wire.Message) bool {
	q := m.Request
	return q != nil && (q.Txn != nil && !mvcc.ReadOnly(q.Txn) || q.Lease.Once() ||
		q.Alarm.Once() ||
		q.Compact != nil && q.Shard == kv.SystemShard)
}
