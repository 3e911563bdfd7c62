package etcdtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// The words of scripts that are no calls.
const (
	verbBegin = "begin"
	verbFresh = "fresh"
	verbWatch = "watch"
	verbRecv  = "recv"
	verbClose = "close"
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
		time.Sleep(catchUp)
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
	}
	return r.call(ctx, cmd)
}

// minds reports whether the answer may be another while watches catch up.
func minds(request string) bool {
	return strings.HasPrefix(request, "Compact") || cancels(request) ||
		strings.HasSuffix(request, "\nprogress")
}

// cancels reports whether the request cancels a watch.
func cancels(request string) bool { return strings.Contains(request, "\ncancel ") }

// begin empties the store. The current revision is then 1, and compacted; it
// deleted the key "begin" and nothing else.
func (r *Runner) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := r.revokeLeases(ctx); err != nil {
		return err
	}
	client := pb.NewKVClient(r.Conn)
	all := &pb.DeleteRangeRequest{Key: []byte{0}, RangeEnd: []byte{0}}
	if _, err := client.DeleteRange(ctx, all); err != nil {
		return fmt.Errorf("delete all keys: %w", err)
	}
	if _, err := client.Put(ctx, &pb.PutRequest{Key: []byte(verbBegin)}); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	deleted, err := client.DeleteRange(ctx, all)
	if err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	r.begun, r.base, r.lease = time.Now(), deleted.Header.Revision, ""
	r.member = fmt.Sprint(deleted.Header.MemberId)
	if _, err := client.Compact(ctx, &pb.CompactionRequest{Revision: r.base}); err != nil {
		return fmt.Errorf("compact: %w", err)
	}
	return nil
}

func (r *Runner) revokeLeases(ctx context.Context) error {
	client := pb.NewLeaseClient(r.Conn)
	granted, err := client.LeaseLeases(ctx, &pb.LeaseLeasesRequest{})
	if err != nil {
		return fmt.Errorf("list leases: %w", err)
	}
	for _, lease := range granted.Leases {
		_, err := client.LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: lease.ID})
		if err != nil && status.Code(err) != codes.NotFound {
			return fmt.Errorf("revoke lease %d: %w", lease.ID, err)
		}
	}
	return nil
}

// sendWatches sends requests on a stream, which opens unless it is open, and
// tells what came back.
func (r *Runner) sendWatches(ctx context.Context, cmd command, want *string) (string, error) {
	s := r.streams[cmd.args]
	if s == nil {
		var err error
		if s, err = openStream(ctx, r.Conn, r.Etcd); err != nil {
			return "", err
		}
		r.streams[cmd.args] = s
	}
	lines := 0
	for line := range strings.Lines(cmd.body) {
		req, err := watchRequest(line, r.base)
		if err != nil {
			return "", err
		}
		s.send(req)
		if req.GetCreateRequest() != nil {
			lines++
		}
	}
	return r.tell(ctx, s, lines, want)
}

// watchRequest parses "create fields", "cancel fields" and "progress".
func watchRequest(line string, base int64) (*pb.WatchRequest, error) {
	verb, fields, _ := strings.Cut(strings.TrimSpace(line), " ")
	text := fmt.Sprintf("%s_request:{%s}", verb, fields)
	desc := (&pb.WatchRequest{}).ProtoReflect().Descriptor()
	m, err := parseMessage(desc, text, base)
	if err != nil {
		return nil, err
	}
	return m.Interface().(*pb.WatchRequest), nil
}

func (r *Runner) receive(ctx context.Context, cmd command, want *string) (string, error) {
	name, lines, _ := strings.Cut(cmd.args, " ")
	s := r.streams[name]
	if s == nil {
		return "", fmt.Errorf("there is no stream %q", name)
	}
	count := 0
	if lines != "" {
		var err error
		if count, err = strconv.Atoi(lines); err != nil {
			return "", fmt.Errorf("recv %s: %w", cmd.args, err)
		}
	}
	return r.tell(ctx, s, count, want)
}

// tell is what came on a stream and was not told yet.
func (r *Runner) tell(ctx context.Context, s *stream, lines int, want *string) (string, error) {
	var got string
	var err error
	if want == nil {
		got, err = s.tellQuiet(ctx, r.base, lines, r.Quiet)
	} else {
		got, err = s.tellWanted(ctx, r.base, r.expand(*want), r.Patience)
	}
	return r.hideLease(got), err
}

func (r *Runner) closeStream(name string) (string, error) {
	s := r.streams[name]
	if s == nil {
		return "", fmt.Errorf("there is no stream %q", name)
	}
	delete(r.streams, name)
	return s.close(r.base), nil
}

// closeStreams closes those that are open, and tells what still came: a script
// is to receive all of it.
func (r *Runner) closeStreams() string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(r.streams)) {
		s := r.streams[name]
		delete(r.streams, name)
		if rest := s.close(r.base); rest != "" {
			fmt.Fprintf(&out, "on stream %s there also came:\n%s", name, rest)
		}
	}
	return out.String()
}
