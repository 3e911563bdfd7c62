package cli

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/miruvor/miruvor/internal/etcdapi"
)

// etcdServing is how etcd's API is served. Names and defaults are etcd's.
type etcdServing struct {
	progressInterval time.Duration
	streamsMax       uint32
	keepaliveMinTime time.Duration
	// Zero is never for both.
	keepaliveInterval, keepaliveTimeout time.Duration
}

// progressIntervalMin is the least that etcd takes.
const progressIntervalMin = 100 * time.Millisecond

func (e *etcdServing) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.DurationVar(&e.progressInterval, "watch-progress-notify-interval", 10*time.Minute,
		"how often a watch in which nothing happens hears of progress,\nif it asked for it")
	flags.Uint32Var(&e.streamsMax, "max-concurrent-streams", math.MaxUint32,
		"the most requests and streams under way over one gRPC\nconnection")
	flags.DurationVar(&e.keepaliveMinTime, "grpc-keepalive-min-time", 5*time.Second,
		"how long a gRPC client waits between pings, at least;\n"+
			"others are cut off")
	flags.DurationVar(&e.keepaliveInterval, "grpc-keepalive-interval", 2*time.Hour,
		"after how long a silent gRPC client is pinged, 0 is never")
	flags.DurationVar(&e.keepaliveTimeout, "grpc-keepalive-timeout", 20*time.Second,
		"how long it has to answer, 0 is for ever")
}

func (e *etcdServing) check() []error {
	var problems []error
	atLeast := func(flag string, value, least time.Duration) {
		if value < least {
			problems = append(problems,
				fmt.Errorf("--%s is %v, it must be %v at least", flag, value, least))
		}
	}
	atLeast("watch-progress-notify-interval", e.progressInterval, progressIntervalMin)
	atLeast("grpc-keepalive-min-time", e.keepaliveMinTime, 0)
	atLeast("grpc-keepalive-interval", e.keepaliveInterval, 0)
	atLeast("grpc-keepalive-timeout", e.keepaliveTimeout, 0)
	if e.streamsMax == 0 {
		problems = append(problems,
			fmt.Errorf("--max-concurrent-streams is 0, it must be 1 at least"))
	}
	return problems
}

func (e *etcdServing) options() etcdapi.ServerOptions {
	const never = math.MaxInt64
	return etcdapi.ServerOptions{
		StreamsMax: e.streamsMax,
		// There, zero stands for the default.
		KeepaliveMinTime:  max(e.keepaliveMinTime, 1),
		KeepaliveInterval: cmp.Or(e.keepaliveInterval, never),
		KeepaliveTimeout:  cmp.Or(e.keepaliveTimeout, never),
	}
}

// etcdFlags are flags of etcd's that have another name or form here, with what to say.
var etcdFlags = map[string]string{
	"data-dir":                    "--data DIR",
	"listen-client-urls":          "--client HOST:PORT",
	"listen-peer-urls":            "--peer HOST:PORT",
	"advertise-client-urls":       "--advertise-client HOST:PORT",
	"initial-advertise-peer-urls": "--advertise-peer HOST:PORT",
	"unsafe-no-fsync":             "--durability os",
	"enable-pprof":                "--pprof",
}

// explainFlag says what a flag of etcd's is called here.
func explainFlag(_ *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		if name, ok := etcdFlags[unknown.GetSpecifiedName()]; ok {
			err = fmt.Errorf("%w: it is %s here", err, name)
		}
	}
	return usageError{err}
}
