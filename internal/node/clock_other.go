//go:build !linux

package node

import (
	"time"

	"github.com/miruvor/miruvor/internal/wire"
)

var clockStart = time.Now()

// readClock is Go's monotonic clock. Where it stops while the machine is
// suspended, run with ReadQuorum.
func readClock() wire.Instant { return wire.Instant(time.Since(clockStart)) + 1 }
