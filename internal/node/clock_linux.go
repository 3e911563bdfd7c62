package node

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/miruvor/miruvor/internal/wire"
)

// readClock is CLOCK_BOOTTIME, which also runs while the machine is suspended:
// a lease must not outlive a nap. Go's own monotonic clock stops then.
func readClock() wire.Instant {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(fmt.Sprintf("node: the clock can't be read: %v", err))
	}
	return wire.Instant(ts.Nano())
}
