package sim

import (
	"time"

	"github.com/miruvor/miruvor/internal/raftlog"
	"github.com/miruvor/miruvor/internal/replica"
)

// disk is a node's log writer in virtual time. Like raftlog.Writer it takes
// everything that is queued, appends it, and syncs once for all of it; a
// snapshot is installed before its record. Each of these is an event of its own,
// so that a crash can come between any two.
type disk struct {
	node  *node
	queue []job
	busy  bool
	stage stage
	// stalledUntil is when a stall ends.
	stalledUntil Time
}

// job is a save and the thread that waits for it.
type job struct {
	save   replica.Save
	thread *thread
}

func (d *disk) submit(j job) {
	d.queue = append(d.queue, j)
	d.start()
}

// start takes the next group of jobs: those up to an install, which begins a
// group of its own.
func (d *disk) start() {
	if d.busy || len(d.queue) == 0 {
		return
	}
	d.busy = true
	d.node.after(d.latency(5*time.Microsecond), func() {
		n := 1
		for n < len(d.queue) && d.queue[n].save.Install == nil {
			n++
		}
		group := d.queue[:n:n]
		d.queue = d.queue[n:]
		d.install(group)
	})
}

func (d *disk) install(group []job) {
	in := group[0].save.Install
	if in == nil {
		d.append(group)
		return
	}
	if err := in.Commit(); err != nil {
		d.node.c.failf("%v: install a snapshot: %v", d.node.id, err)
	}
	d.stage = installed
	if d.node.c.crashWriter(d.node, 20) {
		return
	}
	d.node.note("install", uint64(group[0].save.Record.Shard), group[0].save.Record.Reset.Index)
	d.node.after(d.latency(200*time.Microsecond), func() { d.append(group) })
}

func (d *disk) append(group []job) {
	records := make([]raftlog.Record, len(group))
	for i, j := range group {
		records[i] = j.save.Record
	}
	d.node.c.probe.appends(d.node, records)
	d.stage = appended
	if err := d.node.log.Append(records); err != nil {
		d.node.c.failf("%v: append to the log: %v", d.node.id, err)
	}
	if d.node.c.crashWriter(d.node, 1) {
		return
	}
	d.node.note("append", uint64(len(group)), 0)
	d.node.after(d.latency(300*time.Microsecond), func() { d.sync(group) })
}

func (d *disk) sync(group []job) {
	if err := d.node.log.Sync(); err != nil {
		d.node.c.failf("%v: sync the log: %v", d.node.id, err)
	}
	d.node.note("sync", uint64(len(group)), 0)
	for _, j := range group {
		j.thread.post(input{saved: j.save.Replica})
	}
	d.busy, d.stage = false, atRest
	d.start()
}

// latency is how long a step takes that takes mean when all is well.
func (d *disk) latency(mean time.Duration) time.Duration {
	c := d.node.c
	t := c.around(mean)
	if stall := time.Duration(d.stalledUntil - c.now); stall > 0 {
		t += stall
	}
	return t
}
