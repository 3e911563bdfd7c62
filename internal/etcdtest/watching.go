package etcdtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

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
