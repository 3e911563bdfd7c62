package etcdtest_test

import (
	"context"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/miruvor/miruvor/internal/etcdtest"
	"github.com/miruvor/miruvor/internal/etcdtest/cluster"
)

// tamper makes answers wrong in one way, to see whether the runner notices.
type tamper struct {
	name string
	// script is where it is to be noticed.
	script string
	// answer changes the answer to a call, and watch what came on a stream: it
	// returns what is to come instead. They tell whether they did anything.
	answer func(resp proto.Message) bool
	failed func(err error) error
	watch  func(resp *pb.WatchResponse) ([]*pb.WatchResponse, bool)
}

var tampers = []tamper{
	{name: "header_revision", script: "put", answer: onPut(func(r *pb.PutResponse) bool {
		r.Header.Revision++
		return true
	})},
	{name: "no_header", script: "put", answer: onPut(func(r *pb.PutResponse) bool {
		r.Header = nil
		return true
	})},
	{name: "no_previous", script: "put", answer: onPut(func(r *pb.PutResponse) bool {
		had := r.PrevKv != nil
		r.PrevKv = nil
		return had
	})},
	{name: "missing_pair", script: "range", answer: onRange(func(r *pb.RangeResponse) bool {
		if len(r.Kvs) < 2 {
			return false
		}
		r.Kvs = r.Kvs[1:]
		return true
	})},
	{name: "order", script: "sort", answer: onRange(func(r *pb.RangeResponse) bool {
		if len(r.Kvs) < 2 {
			return false
		}
		r.Kvs[0], r.Kvs[1] = r.Kvs[1], r.Kvs[0]
		return true
	})},
	{name: "count", script: "range", answer: onRange(func(r *pb.RangeResponse) bool {
		r.Count++
		return true
	})},
	{name: "more", script: "range", answer: onRange(func(r *pb.RangeResponse) bool {
		r.More = !r.More
		return true
	})},
	{name: "value", script: "range", answer: onPair(func(p *mvccpb.KeyValue) {
		p.Value = append(p.Value, '!')
	})},
	{name: "create_revision", script: "range", answer: onPair(func(p *mvccpb.KeyValue) {
		p.CreateRevision--
	})},
	{name: "mod_revision", script: "range", answer: onPair(func(p *mvccpb.KeyValue) {
		p.ModRevision++
	})},
	{name: "version", script: "range", answer: onPair(func(p *mvccpb.KeyValue) { p.Version++ })},
	{name: "lease", script: "range", answer: onPair(func(p *mvccpb.KeyValue) { p.Lease = 4 })},
	{name: "large_value", script: "limits", answer: onPair(func(p *mvccpb.KeyValue) {
		if len(p.Value) > 0 {
			p.Value[len(p.Value)/2] ^= 1
		}
	})},
	{name: "succeeded", script: "txn", answer: onTxn(func(r *pb.TxnResponse) bool {
		r.Succeeded = !r.Succeeded
		return true
	})},
	{name: "inner_revision", script: "txn", answer: onTxn(func(r *pb.TxnResponse) bool {
		if len(r.Responses) == 0 || r.Responses[0].GetResponsePut() == nil {
			return false
		}
		r.Responses[0].GetResponsePut().Header.Revision++
		return true
	})},
	{name: "ttl", script: "lease", answer: func(resp proto.Message) bool {
		r, ok := resp.(*pb.LeaseTimeToLiveResponse)
		if ok {
			r.TTL -= 60
		}
		return ok
	}},
	{name: "error_text", script: "txn", failed: func(err error) error {
		return status.Error(status.Code(err), status.Convert(err).Message()+".")
	}},
	{name: "error_code", script: "txn", failed: func(err error) error {
		return status.Error(codes.Unknown, status.Convert(err).Message())
	}},
	{name: "error_forgiven", script: "txn", failed: func(error) error { return nil }},
	{name: "missing_event", script: "watch", watch: onEvents(
		func(r *pb.WatchResponse) []*pb.WatchResponse {
			r.Events = r.Events[1:]
			return []*pb.WatchResponse{r}
		})},
	{name: "event_twice", script: "watch", watch: onEvents(
		func(r *pb.WatchResponse) []*pb.WatchResponse { return []*pb.WatchResponse{r, r} })},
	{name: "events_split", script: "watch", watch: onEvents(
		func(r *pb.WatchResponse) []*pb.WatchResponse {
			rest := proto.CloneOf(r)
			r.Events, rest.Events = r.Events[:1], rest.Events[1:]
			return []*pb.WatchResponse{r, rest}
		})},
	{name: "events_swapped", script: "watch", watch: onEvents(
		func(r *pb.WatchResponse) []*pb.WatchResponse {
			r.Events[0], r.Events[1] = r.Events[1], r.Events[0]
			return []*pb.WatchResponse{r}
		})},
	{name: "other_watch", script: "watch", watch: onEvents(
		func(r *pb.WatchResponse) []*pb.WatchResponse {
			r.WatchId = 77
			return []*pb.WatchResponse{r}
		})},
	{name: "header_behind", script: "watch", watch: onEvents(
		func(r *pb.WatchResponse) []*pb.WatchResponse {
			r.Header.Revision = r.Events[0].Kv.ModRevision - 1
			return []*pb.WatchResponse{r}
		})},
	{name: "created_revision", script: "watch", watch: onControl(
		func(r *pb.WatchResponse) bool { return r.Created },
		func(r *pb.WatchResponse) { r.Header.Revision++ })},
	{name: "reason", script: "watch_ids", watch: onControl(
		func(r *pb.WatchResponse) bool { return r.Canceled },
		func(r *pb.WatchResponse) { r.CancelReason = "" })},
	{name: "compact_revision", script: "watch_compacted", watch: onControl(
		func(r *pb.WatchResponse) bool { return r.CompactRevision > 0 },
		func(r *pb.WatchResponse) { r.CompactRevision-- })},
	{name: "progress_revision", script: "watch_progress", watch: onControl(
		func(r *pb.WatchResponse) bool { return !r.Created && !r.Canceled && len(r.Events) == 0 },
		func(r *pb.WatchResponse) { r.Header.Revision++ })},
	{name: "no_previous_in_event", script: "watch_prev", watch: onControl(
		func(r *pb.WatchResponse) bool { return len(r.Events) > 0 && r.Events[0].PrevKv != nil },
		func(r *pb.WatchResponse) { r.Events[0].PrevKv = nil })},
}

func onPut(change func(*pb.PutResponse) bool) func(proto.Message) bool {
	return func(resp proto.Message) bool {
		r, ok := resp.(*pb.PutResponse)
		return ok && change(r)
	}
}

func onRange(change func(*pb.RangeResponse) bool) func(proto.Message) bool {
	return func(resp proto.Message) bool {
		r, ok := resp.(*pb.RangeResponse)
		return ok && change(r)
	}
}

func onPair(change func(*mvccpb.KeyValue)) func(proto.Message) bool {
	return onRange(func(r *pb.RangeResponse) bool {
		if len(r.Kvs) > 0 {
			change(r.Kvs[0])
		}
		return len(r.Kvs) > 0
	})
}

func onTxn(change func(*pb.TxnResponse) bool) func(proto.Message) bool {
	return func(resp proto.Message) bool {
		r, ok := resp.(*pb.TxnResponse)
		return ok && change(r)
	}
}

// onEvents changes responses of two events or more.
func onEvents(
	change func(*pb.WatchResponse) []*pb.WatchResponse,
) func(*pb.WatchResponse) ([]*pb.WatchResponse, bool) {
	return func(r *pb.WatchResponse) ([]*pb.WatchResponse, bool) {
		if len(r.Events) < 2 {
			return []*pb.WatchResponse{r}, false
		}
		return change(r), true
	}
}

func onControl(
	applies func(*pb.WatchResponse) bool, change func(*pb.WatchResponse),
) func(*pb.WatchResponse) ([]*pb.WatchResponse, bool) {
	return func(r *pb.WatchResponse) ([]*pb.WatchResponse, bool) {
		if !applies(r) {
			return []*pb.WatchResponse{r}, false
		}
		change(r)
		return []*pb.WatchResponse{r}, true
	}
}

// TestTampersAreNoticed shows that the runner compares what it says it does.
func TestTampersAreNoticed(t *testing.T) {
	c, err := cluster.Start(t.Context(), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	edges, err := etcdtest.Edges()
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range tampers {
		t.Run(how.name, func(t *testing.T) {
			conn := &tampered{ClientConn: c.Conn, how: how}
			r := &etcdtest.Runner{Conn: conn, Patience: 200 * time.Millisecond}
			found, err := r.Replay(t.Context(), script(t, edges, how.script))
			switch {
			case err != nil:
				t.Error(err)
			case conn.done == 0:
				t.Error("nothing was tampered with")
			case len(found) == 0:
				t.Errorf("%d wrong answers went unnoticed", conn.done)
			}
		})
	}
}

func script(t *testing.T, all []*etcdtest.Script, name string) *etcdtest.Script {
	for _, s := range all {
		if strings.HasSuffix(s.Name, "/"+name+".txt") {
			return s
		}
	}
	t.Fatalf("there is no script %q", name)
	return nil
}

// tampered is a connection whose answers are tampered with, but not those to
// what a script's begin asks. done counts.
type tampered struct {
	*grpc.ClientConn
	how  tamper
	done int
}

func (c *tampered) Invoke(
	ctx context.Context, method string, req, resp any, opts ...grpc.CallOption,
) error {
	err := c.ClientConn.Invoke(ctx, method, req, resp, opts...)
	switch {
	case ofBegin(req):
	case err != nil && c.how.failed != nil:
		c.done++
		return c.how.failed(err)
	case err == nil && c.how.answer != nil && c.how.answer(resp.(proto.Message)):
		c.done++
	}
	return err
}

func ofBegin(req any) bool {
	switch req := req.(type) {
	case *pb.PutRequest:
		return string(req.Key) == "begin"
	case *pb.DeleteRangeRequest, *pb.CompactionRequest, *pb.LeaseLeasesRequest:
		return true
	}
	return false
}

func (c *tampered) NewStream(
	ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	s, err := c.ClientConn.NewStream(ctx, desc, method, opts...)
	if err != nil || c.how.watch == nil {
		return s, err
	}
	return &tamperedStream{ClientStream: s, conn: c}, nil
}

type tamperedStream struct {
	grpc.ClientStream
	conn *tampered
	// next is what comes before more is received.
	next []*pb.WatchResponse
}

func (s *tamperedStream) RecvMsg(m any) error {
	for len(s.next) == 0 {
		var resp pb.WatchResponse
		if err := s.ClientStream.RecvMsg(&resp); err != nil {
			return err
		}
		var did bool
		if s.next, did = s.conn.how.watch(&resp); did {
			s.conn.done++
		}
	}
	proto.Merge(m.(proto.Message), s.next[0])
	s.next = s.next[1:]
	return nil
}
