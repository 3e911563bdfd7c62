package etcdtest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "go.etcd.io/etcd/api/v3/etcdserverpb" // registers the services
	_ "google.golang.org/grpc/health/grpc_health_v1"
)

// services are those whose calls scripts may name; one that is not linked in
// has no calls.
var services = []protoreflect.FullName{
	"etcdserverpb.KV", "etcdserverpb.Watch", "etcdserverpb.Lease", "etcdserverpb.Cluster",
	"etcdserverpb.Maintenance", "etcdserverpb.Auth", "v3lockpb.Lock", "v3electionpb.Election",
	"grpc.health.v1.Health",
}

// command is a request as it is sent.
type command struct {
	verb string
	// args is the rest of the first line, and body the lines below.
	args, body string
	meta       metadata.MD
}

func parseCommand(text string) (command, error) {
	var c command
	for {
		line, rest, _ := strings.Cut(text, "\n")
		pair, isWith := strings.CutPrefix(line, "with ")
		if !isWith {
			c.verb, c.args, _ = strings.Cut(line, " ")
			c.body = rest
			return c, nil
		}
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return c, fmt.Errorf("%q: want with key=value", line)
		}
		if c.meta == nil {
			c.meta = metadata.MD{}
		}
		c.meta.Append(key, value)
		text = rest
	}
}

// method finds a call by its name alone, and how gRPC calls it.
func method(name string) (desc protoreflect.MethodDescriptor, path string, err error) {
	for _, service := range services {
		found, err := protoregistry.GlobalFiles.FindDescriptorByName(service)
		if err != nil {
			continue
		}
		methods := found.(protoreflect.ServiceDescriptor).Methods()
		if m := methods.ByName(protoreflect.Name(name)); m != nil {
			return m, "/" + string(service) + "/" + name, nil
		}
	}
	return nil, "", fmt.Errorf("no service has a call %q", name)
}

// newMessage is an empty message of a generated type.
func newMessage(desc protoreflect.MessageDescriptor) (protoreflect.Message, error) {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(desc.FullName())
	if err != nil {
		return nil, err
	}
	return kind.New(), nil
}

// parseMessage reads protobuf's text form, revisions counted from base.
func parseMessage(
	desc protoreflect.MessageDescriptor, text string, base int64,
) (protoreflect.Message, error) {
	m, err := newMessage(desc)
	if err != nil {
		return nil, err
	}
	if err := prototext.Unmarshal([]byte(text), m.Interface()); err != nil {
		return nil, fmt.Errorf("%s: %w", desc.Name(), err)
	}
	shiftRevisions(m, base-firstRevision)
	return m, nil
}

var repeated = regexp.MustCompile(`(?s)\$(\d+)<(.*?)>`)

// expand writes out what the text abbreviates.
func (r *Runner) expand(text string) string {
	text = strings.ReplaceAll(text, "$lease", r.lease)
	text = strings.ReplaceAll(text, "$member", r.member)
	return repeated.ReplaceAllStringFunc(text, func(match string) string {
		parts := repeated.FindStringSubmatch(match)
		count, err := strconv.Atoi(parts[1])
		if err != nil {
			return match
		}
		if !strings.Contains(parts[2], "#") {
			return strings.Repeat(parts[2], count)
		}
		var out strings.Builder
		for i := range count {
			out.WriteString(strings.ReplaceAll(parts[2], "#", strconv.Itoa(i)) + " ")
		}
		return out.String()
	})
}
