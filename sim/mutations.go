package sim

// mutation is a deliberate bug, made by changing the source as a careless hand might: Old
// stands once in File, and New in its place is the bug. Unlike those of package mutant it
// leaves no trace in the core, so there may be one wherever a rule lives.
type mutation struct {
	name, file, old, new string
}

// mutations are in the order of the floors.
var mutations = []mutation{
	{
		"handed-out-untold", "internal/wire/raft.go",
		"	buf = appendUint(buf, raftAllocated, uint64(m.Allocated))\n", "",
	},
	{
		"escape-nothing", "internal/keyspace/escape.go",
		"buf = append(buf, escape, escapedZero)", "buf = append(buf, escape, terminator)",
	},
	{
		"unescape-nothing", "internal/keyspace/escape.go",
		"return bytes.ReplaceAll(b, []byte{escape, escapedZero}, []byte{escape})",
		"return b[:len(b):len(b)]",
	},
	{
		"body-unchecked", "internal/raftlog/scan.go",
		"if crc32.Checksum(body, castagnoli) != h.bodySum {",
		"if crc32.Checksum(body, castagnoli) == 0 {",
	},
	{
		"tail-kept", "internal/raftlog/group.go",
		"if r.first <= g.last {\n\t\tg.cutFrom(r.first)",
		"if r.first < g.last {\n\t\tg.cutFrom(r.first)",
	},
	{
		"vote-not-replayed", "internal/raftlog/replay.go",
		"g.setHard(hard, place.seg)",
		"hard.vote = 0\n\t\t\tg.setHard(hard, place.seg)",
	},
	{
		"position-not-moved", "internal/raftlog/rewrite.go",
		"state = g.baseSeg == seg || g.hardSeg == seg",
		"state = g.baseSeg == seg && g.hardSeg == seg",
	},
	{
		"value-of-nothing", "internal/mvcc/compare.go",
		"if c.Target == kv.CompareValue {", "if c.Target == kv.CompareValue && len(c.Value) > 0 {",
	},
	{
		"version-goes-on", "internal/mvcc/evaluate.go",
		"w.Create, w.Version, w.PrevLease = prev.Create, prev.Count+1, prev.Lease",
		"w.Create, w.Version, w.PrevLease = prev.Create, prev.Count, prev.Lease",
	},
	{
		"long-values-not-forgotten", "internal/mvcc/recent.go",
		"		r.forget(v.key)\n		return\n", "		return\n",
	},
	{
		"limit-forgets-more", "internal/mvcc/view.go",
		"if p.full {\n\t\tp.response.More = true",
		"if p.full {\n\t\tp.response.More = !p.req.Reverse",
	},
	{
		"delete-under-writes", "internal/mvcc/evaluate.go",
		"return Write{Key: v.key, PrevLease: v.Lease, Tombstone: true}, nil",
		"return Write{Key: v.key, Tombstone: true}, nil",
	},
	{
		"sweep-one-more", "internal/mvcc/sweep.go",
		"if e.rev == newest {\n\t\t\treturn s.sweepBelow(entries, size)",
		"if e.rev == newest && len(entries) == 1 {\n\t\t\treturn s.sweepBelow(entries, size)",
	},
	{
		"bounds-included", "internal/placement/map.go",
		"return bytes.Compare(m.Shards[i].Range.Start, key) > 0",
		"return bytes.Compare(m.Shards[i].Range.Start, key) >= 0",
	},
	{
		"mark-unheeded", "internal/oracle/oracle.go",
		"if !o.serving || o.last+kv.Revision(count) > o.mark {", "if !o.serving {",
	},
	{
		"number-shared", "internal/oracle/client.go",
		"base += kv.Revision(d.Count)", "base += kv.Revision(max(d.Count, 1) - 1)",
	},
	{
		"renewal-unlogged", "internal/lease/lessor.go",
		"if h.left < h.ttl {\n\t\tl.change(h)", "if h.left < 0 {\n\t\tl.change(h)",
	},
	{
		"expired-alive", "internal/lease/lessor.go",
		"case h.revoking || h.deadline <= now:", "case h.revoking:",
	},
	{
		"lease-detached", "internal/lease/lessor.go",
		"h.shards = slices.Insert(slices.Clip(h.shards), i, shard)\n\t\tl.change(h)",
		"h.shards = slices.Insert(slices.Clip(h.shards), i, shard)",
	},
	{
		"votes-of-learners", "internal/replica/member.go",
		"case rep.Learner && r.caughtUp(now, rep.ID):", "case rep.Learner:",
	},
	{
		"locks-not-loaded", "internal/replica/snapshot.go",
		"if err := errors.Join(r.loadLocks(), r.loadMarks()); err != nil {",
		"if err := errors.Join(r.loadMarks()); err != nil {",
	},
	{
		"closed-over-locks", "internal/replica/snapshot.go",
		"r.closed.applied(min(st.applied.Ordered, r.lowestLock()))",
		"r.closed.applied(st.applied.Ordered)",
	},
	{
		"untold-forgotten", "internal/replica/settle.go", "		case o.untold:\n", "",
	},
	{
		"memory-outlives-state", "internal/replica/snapshot.go",
		"	r.recent.Clear(st.applied.Revision)\n", "",
	},
	{
		"held-for-ever", "internal/replica/hold.go", "r.held = held", "r.held = r.held || held",
	},
	{
		"sweep-under-readers", "internal/replica/sweep.go",
		"limit = min(limit, rd.at)", "limit = min(limit, 2*rd.at)",
	},
	{
		"closed-without-lease", "internal/replica/closed.go",
		"if r.role.serving && r.HoldsLease(now) {", "if r.role.serving && now > 0 {",
	},
	{
		"promise-at-once", "internal/replica/closed.go",
		"if c.promise > 0 && index >= c.promiseIndex {", "if c.promise > 0 && index > 0 {",
	},
	{
		"peer-forgotten", "internal/member/member.go",
		"	m.known[peer] = inc\n", "	delete(m.known, peer)\n",
	},
	{
		"read-locks-shared-with-writes", "internal/txn/plan.go",
		"lock.Write = lock.Write || writes", "lock.Write = lock.Write || writes && fresh",
	},
	{
		"past-unlimited", "internal/txn/evaluate.go",
		"if n := p.req.Fit(out.KVs); n < len(out.KVs) {",
		"if n := p.req.Fit(out.KVs); n < 0 {",
	},
	{
		"past-unplanned", "internal/txn/plan.go",
		"past := pastRead{req: req}", "past := pastRead{}",
	},
	{
		"watches-leak", "internal/watch/hub.go",
		"	delete(w.stream.watches, w.id)\n	h.load.Watches--\n",
		"	delete(w.stream.watches, w.id)\n",
	},
	{
		"sub-order-lost", "internal/watch/reader.go",
		"cmp.Compare(a.Sub, b.Sub))", "0)",
	},
	{
		"progress-too-early", "internal/watch/progress.go",
		"if w.state != ended && w.position() < p.at {",
		"if w.state == live && w.position() < p.at {",
	},
	{
		"lease-lost-without-a-word", "internal/worker/lessor.go",
		"&wire.Response{Code: wire.CodeLeaseNotFound, Text: text}", "&wire.Response{Text: text}",
	},
	{
		"end-unlogged", "internal/worker/ending.go",
		"case applied && e.step == endLogged:", "case e.step == endLogged:",
	},
	{
		"parts-unaligned", "internal/worker/walk.go",
		"if !c.req.Range.Serializable {\n\t\treturn false\n\t}",
		"if p != nil {\n\t\treturn false\n\t}",
	},
	{
		"errors-at-once", "internal/replica/submit.go",
		"		if isOfState(err) {", "		if errors.Is(err, kv.ErrStopped) {",
	},
}
