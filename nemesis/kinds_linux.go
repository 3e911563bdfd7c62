package main

import (
	"syscall"
	"time"

	"github.com/miruvor/miruvor/internal/faultfs"
	"github.com/miruvor/miruvor/internal/netlab"
)

const ms = time.Millisecond

// kinds are all faults there are. A new one is a line here and a type that
// begins and ends it.
var kinds = []kind{
	{"kill", 10, false, 0, 5 * time.Second, drawKill},
	{"restart-all", 3, true, 0, 0, func(*draw) fault { return restartAll{} }},
	{"rolling-restart", 2, true, 0, 0, func(*draw) fault { return rollingRestart{} }},
	{"hunt", 25, false, 4 * time.Second, 12 * time.Second, drawHunt},
	{"stop", 8, false, 300 * ms, 6 * time.Second, drawStop},
	{"wipe", 2, true, 0, 2 * time.Second, func(d *draw) fault { return wipe{d.IntN(d.nodes)} }},
	{"amnesia", 3, true, 0, 0, drawAmnesia},
	{"halves", 5, false, 500 * ms, 10 * time.Second, drawHalves},
	{"isolate", 6, false, 500 * ms, 10 * time.Second, drawIsolate},
	{"one-way", 5, false, 500 * ms, 8 * time.Second, drawOneWay},
	{"bridge", 4, false, 500 * ms, 8 * time.Second, drawBridge},
	{"ring", 3, false, 500 * ms, 8 * time.Second, drawRing},
	{"one-link", 3, false, 500 * ms, 8 * time.Second, drawOneLink},
	{"flapping", 4, false, 2 * time.Second, 8 * time.Second, drawFlapping},
	{"clients-cut", 2, false, 500 * ms, 5 * time.Second, drawClientsCut},
	{"loss", 5, false, time.Second, 8 * time.Second, drawLoss},
	{"delay", 5, false, time.Second, 8 * time.Second, drawDelay},
	{"slow-disk", 5, false, time.Second, 6 * time.Second, drawSlowDisk},
	{"failing-fsync", 4, false, 2 * time.Second, 4 * time.Second, drawFailingFsync},
	{"full-disk", 3, true, time.Second, 4 * time.Second, drawFullDisk},
	{"clock-drift", 3, false, 2 * time.Second, 8 * time.Second, drawDrift},
	{"clock-jump", 3, false, 0, 0, drawJump},
}

func drawKill(d *draw) fault {
	k := kill{victims: d.several()}
	if d.chance(3) {
		// Up to 50 days, as a machine may have run before it is started again.
		k.epoch = 1 + d.Int64N(50*24*3600)
	}
	return k
}

// drawHunt leaves what happens when to the hunt: what it strikes at depends on what
// the nodes do.
func drawHunt(d *draw) fault { return &hunt{seed: d.Uint64(), shards: d.shards} }

func drawStop(d *draw) fault { return stop{d.several()} }

func drawAmnesia(d *draw) fault {
	return &amnesia{
		shard: d.IntN(d.shards + 1), behind: d.between(300*ms, time.Second),
		blind: d.between(2*time.Second, 4*time.Second),
	}
}

func drawHalves(d *draw) fault {
	nodes := d.Perm(d.nodes)
	n := 1 + d.IntN(d.nodes/2)
	return &links{name: "halves", cut: between(nodes[:n], nodes[n:])}
}

func drawIsolate(d *draw) fault { return &links{name: "isolate", of: d.one(), in: true, out: true} }

func drawOneWay(d *draw) fault {
	in := d.chance(2)
	return &links{name: "one-way", of: d.one(), in: in, out: !in}
}

// drawBridge parts the nodes so that one of them sees all.
func drawBridge(d *draw) fault {
	nodes := d.Perm(d.nodes)
	middle := (d.nodes - 1) / 2
	return &links{name: "bridge", cut: between(nodes[:middle], nodes[middle+1:])}
}

// drawRing lets each node see its neighbours on either side, so many that all see
// a majority, and each another one.
func drawRing(d *draw) fault {
	nodes, reach := d.Perm(d.nodes), (d.nodes/2+1)/2
	l := &links{name: "ring"}
	for i := range nodes {
		for j := range nodes {
			apart := min((i-j+d.nodes)%d.nodes, (j-i+d.nodes)%d.nodes)
			if apart > reach {
				l.cut = append(l.cut, [2]int{nodes[i], nodes[j]})
			}
		}
	}
	return l
}

func drawOneLink(d *draw) fault {
	nodes := d.Perm(d.nodes)
	return &links{name: "one-link", cut: between(nodes[:1], nodes[1:2])}
}

func drawFlapping(d *draw) fault {
	l := drawHalves(d).(*links)
	l.name, l.flap = "flapping", d.between(50*ms, 1500*ms)
	return l
}

func drawClientsCut(d *draw) fault {
	return &links{name: "clients-cut", of: d.one(), clients: true}
}

func drawLoss(d *draw) fault {
	return &links{
		name: "loss", of: d.anyOne(), in: true, out: true,
		condition: netlab.Condition{Loss: float64(1+d.IntN(30)) / 100},
	}
}

func drawDelay(d *draw) fault {
	delay := d.between(2*ms, 250*ms)
	return &links{
		name: "delay", of: d.anyOne(), in: true, out: true,
		condition: netlab.Condition{Delay: delay, Jitter: time.Duration(d.Int64N(int64(delay)))},
	}
}

// one is a victim in a list, anyOne at times no victim: then it concerns all.
func (d *draw) one() []victim { return []victim{d.victim()} }

func (d *draw) anyOne() []victim {
	if d.chance(2) {
		return nil
	}
	return d.one()
}

func drawSlowDisk(d *draw) fault {
	f := faultfs.Fault{Ops: faultfs.Sync, Delay: d.between(5*ms, 800*ms)}
	if d.chance(3) {
		f.Percent = 1 + d.IntN(50)
	}
	if d.chance(3) {
		f.Ops |= faultfs.Write
		f.Delay /= 10
	}
	return &disk{name: "slow disk", victims: d.several(), fault: f}
}

func drawFailingFsync(d *draw) fault {
	f := faultfs.Fault{Ops: faultfs.Sync, Errno: syscall.EIO, Times: 1, Files: "/log/"}
	if d.chance(3) {
		f.Ops |= faultfs.Write
		f.Errno = syscall.ENOSPC
	}
	return &disk{name: "failing disk", victims: d.one(), fault: f, ends: true}
}

func drawFullDisk(d *draw) fault {
	f := &fullDisk{node: d.nodes - 1 - d.IntN(d.small), restart: d.chance(2)}
	if d.chance(2) {
		f.left = 1 << (14 + d.IntN(12)) // 16 KiB to 32 MiB
	}
	return f
}

// drawDrift makes a clock fast or slow, by less than two clocks may differ in.
func drawDrift(d *draw) fault {
	return &clocks{victims: d.several(), drift: int64(d.IntN(80_001) - 40_000)}
}

func drawJump(d *draw) fault {
	return &clocks{victims: d.several(), jump: d.between(100*ms, 30*time.Second)}
}
