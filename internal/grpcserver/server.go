package grpcserver

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"reflect"
	"sync"
	"time"

	"google.golang.org/grpc"
)

// Options configure New. The zero Options are usable.
type Options struct {
	// Codec encodes messages; nil is that of protobuf.
	Codec Codec
	// MessageBytesMax bounds a message of a client; 0 is 4 MiB.
	MessageBytesMax int
	// StreamsMax bounds the calls under way on a connection; 0 is no bound.
	StreamsMax uint32
	Keepalive  Keepalive
	// Gate, if there is one, decides which calls come in.
	Gate Gate
}

// Keepalive is what keeps a connection, and what ends it. Zero fields are etcd's
// defaults.
type Keepalive struct {
	// MinTime is how often a client may ping while it has calls under way; one
	// that pings more often is disconnected.
	MinTime time.Duration
	// Interval is after how long without a word a client is pinged, Timeout how
	// long it then has to say something.
	Interval, Timeout time.Duration
}

const (
	keepaliveMinTimeDefault  = 5 * time.Second
	keepaliveIntervalDefault = 2 * time.Hour
	keepaliveTimeoutDefault  = 20 * time.Second
	messageBytesMaxDefault   = 4 << 20
)

// Server serves registered services on any number of listeners.
type Server struct {
	opts    Options
	methods map[string]*method
	info    map[string]grpc.ServiceInfo

	// running counts goroutines: of listeners, connections and handlers.
	running sync.WaitGroup
	workers workers

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	// idle is signalled when a connection ends.
	idle     sync.Cond
	draining bool
}

// method is what a path leads to. One of unary and stream is set.
type method struct {
	path   string
	impl   any
	unary  *grpc.MethodDesc
	stream *grpc.StreamDesc
}

// New makes a server without services.
func New(opts Options) *Server {
	if opts.Codec == nil {
		opts.Codec = ProtoCodec{}
	}
	if opts.MessageBytesMax == 0 {
		opts.MessageBytesMax = messageBytesMaxDefault
	}
	if opts.StreamsMax == 0 {
		opts.StreamsMax = math.MaxUint32
	}
	k := &opts.Keepalive
	for _, d := range []struct {
		field    *time.Duration
		fallback time.Duration
	}{
		{&k.MinTime, keepaliveMinTimeDefault},
		{&k.Interval, keepaliveIntervalDefault},
		{&k.Timeout, keepaliveTimeoutDefault},
	} {
		if *d.field == 0 {
			*d.field = d.fallback
		}
	}
	s := &Server{
		opts:    opts,
		methods: map[string]*method{}, info: map[string]grpc.ServiceInfo{},
		listeners: map[net.Listener]struct{}{}, conns: map[*conn]struct{}{},
	}
	s.idle.L = &s.mu
	s.workers.init()
	return s
}

// RegisterService implements grpc.ServiceRegistrar. It must not be called after
// Serve, and panics if impl is not what desc describes.
func (s *Server) RegisterService(desc *grpc.ServiceDesc, impl any) {
	if want := reflect.TypeOf(desc.HandlerType).Elem(); !reflect.TypeOf(impl).Implements(want) {
		panic(fmt.Sprintf("grpcserver: %T is no %v", impl, want))
	}
	if _, ok := s.info[desc.ServiceName]; ok {
		panic("grpcserver: " + desc.ServiceName + " is registered twice")
	}
	info := grpc.ServiceInfo{Metadata: desc.Metadata}
	path := func(name string) string { return "/" + desc.ServiceName + "/" + name }
	for i := range desc.Methods {
		m := &method{path: path(desc.Methods[i].MethodName), impl: impl, unary: &desc.Methods[i]}
		s.methods[m.path] = m
		info.Methods = append(info.Methods, grpc.MethodInfo{Name: m.unary.MethodName})
	}
	for i := range desc.Streams {
		m := &method{path: path(desc.Streams[i].StreamName), impl: impl, stream: &desc.Streams[i]}
		s.methods[m.path] = m
		info.Methods = append(info.Methods, grpc.MethodInfo{
			Name:           m.stream.StreamName,
			IsClientStream: m.stream.ClientStreams, IsServerStream: m.stream.ServerStreams,
		})
	}
	s.info[desc.ServiceName] = info
}

// GetServiceInfo tells what is registered, by the names of services. Reflection
// uses it.
func (s *Server) GetServiceInfo() map[string]grpc.ServiceInfo { return s.info }

// Serve takes connections from l, which it owns, until the server stops, and then
// returns nil, or until l fails.
func (s *Server) Serve(l net.Listener) error {
	if !s.enter(l) {
		return errors.Join(net.ErrClosed, l.Close())
	}
	defer s.running.Done()
	defer s.leave(l)
	for {
		nc, err := l.Accept()
		if err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.draining {
				return nil
			}
			return err
		}
		s.accept(nc)
	}
}

func (s *Server) enter(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	s.listeners[l] = struct{}{}
	s.running.Add(1)
	return true
}

func (s *Server) leave(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
	_ = l.Close()
}

func (s *Server) accept(nc net.Conn) {
	c := newConn(s, nc)
	s.mu.Lock()
	if s.draining {
		s.mu.Unlock()
		_ = nc.Close()
		return
	}
	s.conns[c] = struct{}{}
	s.running.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.running.Done()
		c.serve()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, c)
		s.idle.Broadcast()
	}()
}

// GracefulStop takes no more connections and calls, and returns when those under
// way have ended. Stop cuts it short.
func (s *Server) GracefulStop() {
	for _, c := range s.close() {
		c.drain()
	}
	s.mu.Lock()
	for len(s.conns) > 0 {
		s.idle.Wait()
	}
	s.mu.Unlock()
	s.workers.stop()
	s.running.Wait()
}

// Stop cuts all connections and returns when their handlers have ended.
func (s *Server) Stop() {
	for _, c := range s.close() {
		c.fail(context.Canceled)
	}
	s.workers.stop()
	s.running.Wait()
}

// close closes the listeners, and returns the connections.
func (s *Server) close() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	for l := range s.listeners {
		_ = l.Close()
	}
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	return conns
}
