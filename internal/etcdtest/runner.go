package etcdtest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// The words of scripts that are no calls.
const (
	verbBegin = "begin"
	verbFresh = "fresh"
	verbWatch = "watch"
	verbRecv  = "recv"
	verbClose = "close"
	verbTimes = "times"
)

// callTimeout bounds a call, and how long a server has to cancel a watch.
const callTimeout = 30 * time.Second

// catchUp is how long an etcd takes until all watches have caught up.
const catchUp = 250 * time.Millisecond

// Runner puts scripts to a server that nobody else uses meanwhile. It runs one
// script at a time.
type Runner struct {
	Conn grpc.ClientConnInterface
	// Quiet is how long nothing must come on a stream of watches for all to
	// have come, when no answer is known.
	Quiet time.Duration
	// Patience is how long the known answer may take to come on a stream.
	Patience time.Duration
	// Thorough goes on after a mismatch; else the rest up to the next begin is
	// skipped, since little of it could match.
	Thorough bool
	// Etcd says that the server is an etcd 3.7, which tells a watch what was
	// before an event if any other watch asked for that and came first, and
	// which takes a while until a watch that begins in the past counts like any
	// other: that is waited for.
	Etcd bool

	// begun is when the script began.
	begun time.Time
	// base is what revision 1 of the script is on the server.
	base int64
	// lease is the id that the server last chose, in decimal. member is its own.
	lease   string
	member  string
	streams map[string]*stream
}

// Mismatch is a request that was answered in another way than etcd's.
type Mismatch struct {
	Script  string
	Line    int
	Request string
	Got     string
	Want    string
}

func (m Mismatch) String() string {
	return fmt.Sprintf("%s:%d:\n%s\n---- got\n%s---- want\n%s",
		m.Script, m.Line, m.Request, m.Got, m.Want)
}

// Record puts the script to a server and takes its answers for the script's.
func (r *Runner) Record(ctx context.Context, s *Script) error {
	defer r.closeStreams()
	return r.run(ctx, s, func(step *Step) (goOn bool, err error) {
		step.Answer, err = r.do(ctx, step.Request, nil)
		return true, err
	})
}

// Replay puts the script to a server and compares. An error means that a script
// makes no sense, or that the server does not answer at all.
func (r *Runner) Replay(ctx context.Context, s *Script) ([]Mismatch, error) {
	var found []Mismatch
	err := r.run(ctx, s, func(step *Step) (goOn bool, err error) {
		got, err := r.do(ctx, step.Request, &step.Answer)
		if err == nil && got != step.Answer {
			found = append(found, Mismatch{s.Name, step.Line, step.Request, got, step.Answer})
			if !r.Thorough {
				r.closeStreams() // what came by now is of no interest
			}
			return r.Thorough, nil
		}
		return true, err
	})
	if rest := r.closeStreams(); rest != "" {
		found = append(found, Mismatch{s.Name, len(s.Steps), "(the end)", rest, ""})
	}
	return found, err
}

// run does each step until one says not to go on; then it skips those up to
// the next begin.
func (r *Runner) run(
	ctx context.Context, s *Script, do func(*Step) (goOn bool, err error),
) error {
	r.streams = map[string]*stream{}
	skipping := false
	for i := range s.Steps {
		step := &s.Steps[i]
		if skipping && step.Request != verbBegin {
			continue
		}
		goOn, err := do(step)
		if err != nil {
			return fmt.Errorf("%s:%d: %w", s.Name, step.Line, err)
		}
		skipping = !goOn
	}
	return nil
}

// do is one request; want is the answer to wait for, nil if it is unknown.
func (r *Runner) do(ctx context.Context, request string, want *string) (string, error) {
	cmd, err := parseCommand(r.expand(request))
	if err != nil {
		return "", err
	}
	if r.Etcd && want != nil && len(r.streams) > 0 && minds(request) {
		pause(ctx, catchUp)
	}
	if cmd.meta != nil {
		ctx = metadata.NewOutgoingContext(ctx, cmd.meta)
	}
	switch cmd.verb {
	case verbFresh:
		rest := r.closeStreams()
		r.begun, r.base, r.lease = time.Now(), firstRevision, ""
		return rest, nil
	case verbBegin:
		return r.closeStreams(), r.begin(ctx)
	case verbWatch:
		return r.sendWatches(ctx, cmd, want)
	case verbRecv:
		return r.receive(ctx, cmd, want)
	case verbClose:
		return r.closeStream(cmd.args)
	case verbTimes:
		return r.repeat(ctx, cmd)
	}
	return r.call(ctx, cmd)
}

// repeat does the request below again and again, and tells the last answer.
func (r *Runner) repeat(ctx context.Context, cmd command) (answer string, err error) {
	times, err := strconv.Atoi(cmd.args)
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", verbTimes, cmd.args, err)
	}
	for i := 0; i < times && err == nil; i++ {
		answer, err = r.do(ctx, strings.ReplaceAll(cmd.body, "#", strconv.Itoa(i)), nil)
	}
	return answer, err
}

// minds reports whether the answer may be another while watches catch up.
func minds(request string) bool {
	return strings.HasPrefix(request, "Compact") || cancels(request) ||
		strings.HasSuffix(request, "\nprogress")
}

// cancels reports whether the request cancels a watch.
func cancels(request string) bool { return strings.Contains(request, "\ncancel ") }

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
