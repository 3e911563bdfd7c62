package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/miruvor/miruvor/internal/faultfs"
	"github.com/miruvor/miruvor/internal/kv"
)

// disk is a fault of the files of some nodes.
type disk struct {
	name    string
	victims []victim
	fault   faultfs.Fault
	// ends says that nodes have to end of it, and are started again.
	ends bool

	found []int
}

func (d *disk) String() string {
	text := d.name + " of " + names(d.victims)
	if d.fault.Delay > 0 {
		text += fmt.Sprintf(", %v", d.fault.Delay)
	}
	if d.fault.Percent > 0 {
		text += fmt.Sprintf(" for %d %%", d.fault.Percent)
	}
	if d.fault.Errno != 0 {
		text += fmt.Sprintf(", %v", d.fault.Errno)
	}
	if d.fault.Ops&faultfs.Write != 0 {
		text += ", of writes as well"
	}
	return text
}

func (d *disk) begin(ctx context.Context, a *arena) error {
	d.found = a.find(ctx, d.victims)
	var errs []error
	for _, node := range d.found {
		if d.ends {
			a.nodes[node].excuse(true)
		}
		errs = append(errs, a.setDisk(node, d, &d.fault))
	}
	return errors.Join(errs...)
}

func (d *disk) end(ctx context.Context, a *arena) error {
	var errs []error
	for _, node := range d.found {
		p := a.nodes[node]
		before := p.failed.Load()
		errs = append(errs, a.setDisk(node, d, nil))
		if !d.ends {
			continue
		}
		errs = append(errs, a.awaitEnd(ctx, p, before))
		p.excuse(false)
		errs = append(errs, a.revive(node, 0))
	}
	return errors.Join(errs...)
}

// failedMax is how long a node may need to end of a fault that struck, or to say
// that none did.
const failedMax = 15 * time.Second

// awaitEnd waits until a node has ended of its log, or until it is known that
// nothing has failed: it must not go on after a failed fsync.
func (a *arena) awaitEnd(ctx context.Context, p *process, failedBefore int64) error {
	begin, last := time.Now(), p.told.Load()
	for p.running() && ctx.Err() == nil {
		// It says what failed before it says which command it has heard.
		heard, failed := p.heard.Load() >= last, p.failed.Load() > failedBefore
		switch {
		case heard && !failed:
			a.observe("%s goes on: nothing was written meanwhile", p.name)
			return nil
		case time.Since(begin) > failedMax && !heard:
			return fmt.Errorf("%s does not say whether its log has failed", p.name)
		case time.Since(begin) > failedMax:
			return fmt.Errorf("%s goes on although its log has failed", p.name)
		}
		wait(ctx, 20*time.Millisecond)
	}
	a.observe("%s has ended, as it must", p.name)
	return nil
}

// smallDisk is the size of a small disk: about the least that a node does with.
const smallDisk = 640 << 20

// mountSmall makes a directory a file system of its own, in memory.
func mountSmall(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	err := unix.Mount("nemesis", dir, "tmpfs", 0, fmt.Sprintf("size=%d", smallDisk))
	if err != nil {
		return fmt.Errorf("mounting a small disk at %s: %w", dir, err)
	}
	return nil
}

// fullDisk fills the small disk of a node, but for what is left, and gives the
// space back at the end.
type fullDisk struct {
	node int
	left int64
	// restart has all nodes start again before alarms are disarmed.
	restart bool
}

// ballastName is a file that no node knows of.
const ballastName = "ballast"

func (f *fullDisk) String() string {
	return fmt.Sprintf("n%d's disk is full, but for %d KiB", f.node+1, f.left>>10)
}

func (f *fullDisk) begin(_ context.Context, a *arena) error {
	p := a.nodes[f.node]
	p.excuse(true)
	var fs unix.Statfs_t
	if err := unix.Statfs(p.dir, &fs); err != nil {
		return err
	}
	ballast, err := os.Create(filepath.Join(p.dir, ballastName))
	if err != nil {
		return err
	}
	defer func() { _ = ballast.Close() }()
	size := int64(fs.Bavail)*fs.Bsize - f.left
	for size > 0 {
		err := unix.Fallocate(int(ballast.Fd()), 0, 0, size)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.ENOSPC) {
			return fmt.Errorf("filling %s: %w", p.dir, err)
		}
		size -= 64 << 10 // the node has been faster
	}
	a.observe("%d MiB of ballast", size>>20)
	return nil
}

func (f *fullDisk) end(ctx context.Context, a *arena) error {
	p := a.nodes[f.node]
	if err := os.Remove(filepath.Join(p.dir, ballastName)); err != nil {
		return err
	}
	if !p.running() {
		a.observe("%s has ended of its full disk", p.name)
	}
	p.excuse(false)
	if err := a.revive(f.node, 0); err != nil {
		return err
	}
	if f.restart {
		if err := a.remember(ctx); err != nil {
			return err
		}
	}
	return a.disarm(ctx)
}

// remember kills all nodes and starts them, after which the alarms that there were
// must still be there: nobody has disarmed them.
func (a *arena) remember(ctx context.Context) error {
	before, err := a.everybody.Alarms(ctx)
	if err != nil || len(before) == 0 {
		return nil // nobody can say what there was
	}
	if err := errors.Join(restartAll{}.begin(ctx, a), restartAll{}.end(ctx, a)); err != nil {
		return err
	}
	if err := a.awaitReady(ctx, readyMax); err != nil {
		return err
	}
	after, err := a.everybody.Alarms(ctx)
	for _, alarm := range before {
		if err == nil && !slices.Contains(after, alarm) {
			return fmt.Errorf("alarm %+v is gone after a restart, of %+v there is %+v", alarm,
				before, after)
		}
	}
	a.observe("all nodes were killed, and remember %d alarms", len(before))
	return nil
}

// disarmMax is how long it may take to get rid of an alarm.
const disarmMax = 30 * time.Second

// disarm ends alarms, as an operator would, until there are none.
func (a *arena) disarm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, disarmMax)
	defer cancel()
	seen := false
	for quiet := 0; quiet < 3; {
		wait(ctx, 300*time.Millisecond) // a node looks at its disk every 200 ms
		if ctx.Err() != nil {
			return fmt.Errorf("alarms can't be disarmed within %v", disarmMax)
		}
		raised, err := a.everybody.Alarms(ctx)
		switch {
		case err != nil:
			quiet = 0
		case len(raised) == 0:
			quiet++
		default:
			seen, quiet = true, 0
			_, _ = a.everybody.ClearAlarms(ctx, kv.Alarm{})
		}
	}
	if seen {
		a.observe("alarms were disarmed")
	}
	return nil
}

// clocks makes the clocks of nodes jump, or drift until the end.
type clocks struct {
	victims []victim
	jump    time.Duration
	drift   int64

	found []int
}

func (c *clocks) String() string {
	if c.jump > 0 {
		return fmt.Sprintf("clock of %s jumps by %v", names(c.victims), c.jump)
	}
	return fmt.Sprintf("clock of %s drifts by %.1f %%", names(c.victims), float64(c.drift)/10_000)
}

func (c *clocks) begin(ctx context.Context, a *arena) error {
	c.found = a.find(ctx, c.victims)
	return c.set(a, c.jump, c.drift)
}

func (c *clocks) end(_ context.Context, a *arena) error { return c.set(a, 0, 0) }

func (c *clocks) set(a *arena, jump time.Duration, drift int64) error {
	var errs []error
	for _, node := range c.found {
		errs = append(errs, a.setClock(node, jump, drift))
	}
	return errors.Join(errs...)
}
