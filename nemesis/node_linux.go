package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"

	"github.com/miruvor/miruvor/internal/cli"
	"github.com/miruvor/miruvor/internal/faultfs"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/node"
	"github.com/miruvor/miruvor/internal/wire"
)

const (
	// nodeVariable makes a process of this program a node; its value is the seed
	// of its faults.
	nodeVariable = "NEMESIS_NODE"
	// epochVariable is how many seconds the process's clock is ahead of the
	// machine's.
	epochVariable = "NEMESIS_EPOCH"
	// mutantVariable is the number of a deliberate bug that the node has.
	mutantVariable = "NEMESIS_MUTANT"
)

// Logs and the engine's tables are much smaller than users have them, so that a
// follower which is behind needs a snapshot, and what is written is flushed and cut
// off the log within seconds.
const (
	logKeepEntries = 100
	partBytes      = 256 << 10
)

// command is what a node is told, a line of JSON on its standard input.
type command struct {
	// Number counts the commands to a node.
	Number int64 `json:"number"`
	// Faults replace all faults of files there were.
	Faults []faultfs.Fault `json:"faults"`
	// Jump puts the clock forward, and Drift makes it faster from now on, in
	// millionths.
	Jump  time.Duration `json:"jump"`
	Drift int64         `json:"drift"`
}

// reply is what a node answers to a command, a line of JSON on replyFile.
type reply struct {
	// Number is the command's.
	Number int64 `json:"number"`
	// Failed is how many operations the faults that end now have made fail.
	Failed int64 `json:"failed"`
}

// replyFile is the file descriptor for replies.
const replyFile = 3

// nodeMain is the life of a node: what cli does with its arguments, until its
// standard input ends.
func nodeMain() int {
	if err := enterEpoch(); err != nil {
		fmt.Fprintln(os.Stderr, "nemesis: a time namespace:", err)
		return 1
	}
	seed, _ := strconv.ParseUint(os.Getenv(nodeVariable), 10, 64)
	bug, _ := strconv.ParseUint(os.Getenv(mutantVariable), 10, 8)
	files, clock := faultfs.New(vfs.Default, seed), newClock()
	go obey(files, clock)
	return cli.MainWith(func(c *node.Config) {
		c.StandOn(node.Ground{
			Files: files, Clock: clock.now, Mutant: mutant.Mutant(bug),
			LogKeepEntries: logKeepEntries, PartBytes: partBytes,
		})
	})
}

// obey carries commands out, and ends the process with its input.
func obey(files *faultfs.FS, clock *clock) {
	lines := bufio.NewScanner(os.Stdin)
	replies := json.NewEncoder(os.NewFile(replyFile, "replies"))
	var failing []*faultfs.Handle
	for lines.Scan() {
		var c command
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			fmt.Fprintln(os.Stderr, "nemesis: command:", err)
			continue
		}
		files.LiftAll()
		r := reply{Number: c.Number}
		for _, h := range failing {
			r.Failed += h.Hits()
		}
		failing = nil
		for _, f := range c.Faults {
			if h := files.Inject(f); f.Errno != 0 {
				failing = append(failing, h)
			}
		}
		clock.change(c.Jump, c.Drift)
		_ = replies.Encode(r) // nobody may be there to hear it
	}
	os.Exit(3)
}

// init keeps the main goroutine on the process's first thread, the only one whose
// time namespace can be set up.
func init() {
	if os.Getenv(epochVariable) != "" {
		runtime.LockOSThread()
	}
}

// enterEpoch begins anew in a time namespace, if it is told to: on a machine
// that was started at another time.
func enterEpoch() error {
	ahead := os.Getenv(epochVariable)
	if ahead == "" {
		return nil
	}
	if err := unix.Unshare(unix.CLONE_NEWTIME); err != nil {
		return err
	}
	text := fmt.Sprintf("monotonic %s 0\nboottime %s 0\n", ahead, ahead)
	if err := os.WriteFile("/proc/self/timens_offsets", []byte(text), 0); err != nil {
		return err
	}
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, epochVariable+"=")
	})
	return unix.Exec("/proc/self/exe", os.Args, env)
}

// clock is CLOCK_BOOTTIME that can be made to jump and to drift.
type clock struct{ face atomic.Pointer[face] }

// face is what a clock shows from a moment on.
type face struct {
	since, shown, drift int64
}

func newClock() *clock {
	c := &clock{}
	begin := bootTime()
	c.face.Store(&face{since: begin, shown: begin})
	return c
}

func (f *face) at(now int64) int64 {
	gone := now - f.since
	return f.shown + gone + gone/1_000_000*f.drift
}

func (c *clock) now() wire.Instant {
	f := c.face.Load() // before the time: a face shows nothing from before itself
	return wire.Instant(f.at(bootTime()))
}

func (c *clock) change(jump time.Duration, drift int64) {
	now := bootTime()
	c.face.Store(&face{since: now, shown: c.face.Load().at(now) + int64(jump), drift: drift})
}

func bootTime() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic(fmt.Sprintf("nemesis: the clock can't be read: %v", err))
	}
	return t.Nano()
}
