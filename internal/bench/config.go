package bench

import (
	"errors"
	"strconv"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

// Work is the kind of load.
type Work string

// The kinds of load.
const (
	Put   Work = "put"
	Get   Work = "get"
	Mixed Work = "mixed"
)

// Bounds of a load.
const (
	clientsMax    = 4096
	keysMax       = 100_000_000
	keyBytesMax   = 64 << 10
	valueBytesMax = 64 << 20
)

// Config says what load to put on whom.
type Config struct {
	// Targets are the servers as host:port; clients spread over them, and
	// move on to the next when one does not answer.
	Targets []string
	Work    Work
	// ReadPercent is how many of a hundred operations of Mixed are reads.
	ReadPercent int
	// Serializable reads what the server itself has, however old.
	Serializable bool
	// Clients is how many requests are under way at once.
	Clients int
	// Total ends the load after so many operations, Duration after so much
	// time; exactly one of them is set.
	Total    int64
	Duration time.Duration
	// Timeout bounds one request.
	Timeout time.Duration
	// Keys is how many different keys there are, chosen evenly.
	Keys int
	// KeyBytes is the length of a key, ValueBytes that of a value.
	KeyBytes, ValueBytes int
	// Prefix begins every key. Empty, the keys begin with letters and digits
	// in equal parts, so that they meet every shard.
	Prefix string
	// Seed makes the choice of keys repeatable.
	Seed uint64
}

// Validate returns kv.ErrInvalid, naming field and bound, for each problem.
func (c *Config) Validate() error {
	var problems []error
	within := func(field string, value, least, most int64) {
		if value < least || value > most {
			problems = append(problems,
				kv.Invalid("%s is %d, it must be from %d to %d", field, value, least, most))
		}
	}
	switch c.Work {
	case Put, Get, Mixed:
	default:
		problems = append(problems, kv.Invalid("work is %q, it must be put, get or mixed", c.Work))
	}
	if len(c.Targets) == 0 {
		problems = append(problems, kv.Invalid("endpoints is empty"))
	}
	if (c.Total > 0) == (c.Duration > 0) {
		problems = append(problems, kv.Invalid("exactly one of total and duration must be set"))
	}
	if c.Timeout <= 0 {
		problems = append(problems, kv.Invalid("timeout is %v, it must be positive", c.Timeout))
	}
	within("reads", int64(c.ReadPercent), 0, 100)
	within("clients", int64(c.Clients), 1, clientsMax)
	within("keys", int64(c.Keys), 1, keysMax)
	within("value-size", int64(c.ValueBytes), 0, valueBytesMax)
	within("key-size", int64(c.KeyBytes), int64(c.keyBytesMin()), keyBytesMax)
	return errors.Join(problems...)
}

// keyBytesMin is the shortest length at which all keys differ.
func (c *Config) keyBytesMin() int {
	digits := len(strconv.Itoa(max(c.Keys-1, 0)))
	return len(c.head(0)) + digits
}

// fills tells whether keys have to be there before the measurement.
func (c *Config) fills() bool { return c.Work != Put }

// reads tells whether the operation with this random number is a read.
func (c *Config) reads(random uint64) bool {
	switch c.Work {
	case Get:
		return true
	case Mixed:
		return random%100 < uint64(c.ReadPercent)
	}
	return false
}
