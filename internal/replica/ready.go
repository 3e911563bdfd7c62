package replica

import (
	"errors"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/raftlog"
	"github.com/miruvor/miruvor/internal/wire"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// Ready moves everything that raft has to say into out, and reports whether
// there was anything. After a true the worker commits out.Batch, calls
// Committed, and asks again.
func (r *Replica) Ready(now wire.Instant, out *Output) bool {
	r.tendFeeds(now, out)
	r.askQuorum()
	r.proposeMarks(out)
	if !r.raft.HasReady() {
		return false
	}
	rd := r.raft.Ready()
	r.follow(rd, out)
	for _, m := range rd.Messages {
		switch m.GetTo() {
		case raft.LocalAppendThread:
			r.save(now, m, out)
		case raft.LocalApplyThread:
			r.apply(m, out)
		default:
			r.send(now, m, out)
		}
	}
	r.dropReceived()
	r.confirmed(rd.ReadStates, out)
	return true
}

// Committed follows the commit of the batch that Ready wrote to.
func (r *Replica) Committed(now wire.Instant, out *Output) {
	for _, m := range r.role.unapplied {
		for _, resp := range m.GetResponses() {
			r.mustStep(resp)
		}
	}
	r.role.unapplied = nil
	r.recent.Settle(r.state.applied.Revision)
	r.answerApplied(out)
	r.flushAnswers(out)
	r.tellNew(now, out)
	r.unblock(now, out)
	r.answerFloors(out)
	r.answerLeases(now, out)
	r.answerAlarms(out)
	r.closed.applied(min(r.state.applied.Ordered, r.lowestLock()))
	r.closed.settle(r.state.applied.Index)
	r.readApplied(now, out)
	r.evaluate(out)
	r.answerPrepares(out)
}

// Saved follows the oldest Save once it is on stable storage.
func (r *Replica) Saved(now wire.Instant, out *Output) {
	done := r.role.saves[0]
	r.role.saves = r.role.saves[1:]
	if done.installed {
		r.restored(out)
	}
	r.respond(now, done.responses, out)
}

// follow takes note of a change of term, role or leader.
func (r *Replica) follow(rd raft.Ready, out *Output) {
	term := r.role.term
	if rd.HardState != nil && rd.HardState.GetTerm() != 0 {
		term = rd.HardState.GetTerm()
	}
	leader := r.role.leader
	if rd.SoftState != nil {
		r.role.lead = kv.ReplicaID(rd.SoftState.Lead)
		leader = rd.SoftState.RaftState == raft.StateLeader
	}
	if r.role.leader && (!leader || term != r.role.term) {
		r.stepDown(out)
	}
	begins := leader && (!r.role.leader || term != r.role.term)
	r.role.term, r.role.leader = term, leader
	if begins {
		r.log.Info("leads", "term", term)
		r.lease.lead()
		r.leases.batch = 0
		r.queue.numbered = r.state.applied.Revision
		r.member.lead()
	}
}

// stepDown hands everything back that can't go on here. What is proposed stays
// until the log tells its fate.
func (r *Replica) stepDown(out *Output) {
	r.log.Info("follows", "term", r.role.term)
	r.role.leader, r.role.serving = false, false
	r.abandon(wire.CodeNotLeader, out)
	r.dropLocks(out)
	r.refuseFloors(out)
	r.refuseLeases(out)
	r.refuseAlarms(out)
	r.queue.overlay.Clear()
	r.refuseReads(out)
}

// save asks for stable storage, then for what raft wants to hear about it.
func (r *Replica) save(now wire.Instant, m *raftpb.Message, out *Output) {
	rec := raftlog.Record{Shard: r.cfg.Shard, Entries: m.GetEntries()}
	for _, e := range rec.Entries {
		r.placed(e)
	}
	if r.mustKeep(m) {
		rec.Hard = r.role.kept.hardState()
		if r.cfg.Mutant == mutant.ForgetVote {
			rec.Hard.Vote = new(uint64(0))
		}
	}
	save := Save{Replica: r}
	done := pendingSave{responses: m.GetResponses()}
	if snap := m.GetSnapshot(); !raft.IsEmptySnap(snap) {
		meta := snap.GetMetadata()
		rec.Reset = &raftlog.Position{Index: meta.GetIndex(), Term: meta.GetTerm()}
		save.Install = r.snaps.take(meta.GetIndex())
		done.installed = true
		r.role.restoring++
		r.refuseReads(out) // what they read is about to change under them
	}
	save.Record = rec
	empty := rec.Reset == nil && rec.Hard == nil && len(rec.Entries) == 0
	if empty && len(r.role.saves) == 0 {
		r.respond(now, done.responses, out)
		return
	}
	if r.cfg.Mutant == mutant.AckBeforeSync {
		for i, m := range done.responses {
			if m.GetTo() != uint64(r.id) {
				r.respond(now, done.responses[i:i+1], out)
			}
		}
	}
	r.role.saves = append(r.role.saves, done)
	out.Saves = append(out.Saves, save)
}

// mustKeep reports whether the hard state has to be saved with m. One that differs
// from the last in its commit index alone waits for the next entries, which may bring
// none of their own: after a crash the leader tells it again, and a sync a write is
// spared.
func (r *Replica) mustKeep(m *raftpb.Message) bool {
	kept, last := &r.role.kept, r.role.kept
	if m.GetTerm() != 0 {
		*kept = ballot{m.GetTerm(), m.GetVote(), m.GetCommit(), true}
	}
	alone := kept.term == last.term && kept.vote == last.vote &&
		len(m.GetEntries()) == 0 && raft.IsEmptySnap(m.GetSnapshot())
	if !kept.owed || alone {
		return false
	}
	kept.owed = false
	return true
}

// acknowledged reports whether m says again what the leader was told since the
// last tick: after each write it sends the new commit index, which asks for an
// answer too. What is lost is said again after the next tick.
func (r *Replica) acknowledged(m *raftpb.Message) bool {
	said := ack{to: m.GetTo(), term: m.GetTerm(), index: m.GetIndex()}
	if m.GetReject() {
		said = ack{}
	}
	again := said != (ack{}) && said == r.role.acked
	r.role.acked = said
	return again
}

// respond delivers what a completed save allows: to raft here, and to others.
func (r *Replica) respond(now wire.Instant, responses []*raftpb.Message, out *Output) {
	for _, m := range responses {
		if m.GetTo() == uint64(r.id) {
			r.mustStep(m)
			continue
		}
		r.send(now, m, out)
	}
}

// mustStep hands raft a message of its own. Raft takes no more votes and
// acknowledgements of a replica once it was removed.
func (r *Replica) mustStep(m *raftpb.Message) {
	if err := r.raft.Step(m); err != nil && !errors.Is(err, raft.ErrStepPeerNotFound) {
		r.broken(m.GetIndex(), "raft refuses its own %v: %v", m.GetType(), err)
	}
}

// send puts a message of raft on its way.
func (r *Replica) send(now wire.Instant, m *raftpb.Message, out *Output) {
	to, ok := r.locate(kv.ReplicaID(m.GetTo()))
	if !ok {
		return // removed meanwhile
	}
	msg := wire.Raft{Shard: r.cfg.Shard, Msg: m}
	switch m.GetType() {
	case raftpb.MsgSnap:
		r.stream(to, m, out)
		return
	case raftpb.MsgVote, raftpb.MsgPreVote:
		if r.refuseVote(now, m) {
			return // its own vote is promised too
		}
	case raftpb.MsgAppResp:
		if r.acknowledged(m) {
			return
		}
	case raftpb.MsgHeartbeat:
		msg.Stamp = now
		if r.role.serving {
			msg.Closed, msg.ClosedIndex = r.closed.upTo, r.state.applied.Index
		}
	case raftpb.MsgHeartbeatResp:
		msg.Stamp = r.lease.stamps[to.ID]
	}
	out.Sends = append(out.Sends, Send{To: to.Node, Message: wire.Message{Raft: &msg}})
}
