package grpcserver_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/miruvor/miruvor/internal/grpcserver"
)

// gate is a grpcserver.Gate of one function.
type gate func(method string, md metadata.MD) (grpcserver.Room, error)

func (g gate) Admit(method string, md metadata.MD) (grpcserver.Room, error) { return g(method, md) }

var (
	errForbidden = status.Error(codes.PermissionDenied, "forbidden")
	errFull      = status.Error(codes.ResourceExhausted, "full")
)

// room counts one for a call, and one for a byte, up to a bound.
type room struct {
	mu         sync.Mutex
	live, most int
	ended      map[codes.Code]int
}

func (r *room) Admit(string, metadata.MD) (grpcserver.Room, error) {
	if err := r.Take(1); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *room) Take(bytes int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.live+bytes > r.most {
		return errFull
	}
	r.live += bytes
	return nil
}

func (r *room) Hold(bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live += bytes
}

func (r *room) Leave(bytes int, code codes.Code) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live -= 1 + bytes
	r.ended[code]++
}

// check tells what is left, and how calls ended.
func (r *room) check(t *testing.T, live int, ended map[codes.Code]int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.live != live || !maps.Equal(r.ended, ended) {
		t.Errorf("%d stand in the room, want %d; ended %v, want %v", r.live, live, r.ended, ended)
	}
}

// TestRoom: whatever becomes of a call, it stands in the room until its handler has
// ended, with what it brought and what it takes along, and then no more.
func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		e := &echo{unary: func(
			ctx context.Context, in *wrapperspb.BytesValue,
		) (*wrapperspb.BytesValue, error) {
			switch string(in.Value) {
			case "wait!":
				<-goOn // deaf to its context
			case "fail!":
				return nil, status.Error(codes.Unavailable, "")
			}
			return in, nil
		}}
		space := &room{most: 100, ended: map[codes.Code]int{}}
		_, dial := servePipes(t, e, grpcserver.Options{Gate: space})
		r := rawFrames(t, dial())
		greeted := make(chan struct{})
		go func() {
			defer close(greeted)
			r.greet()
		}()
		<-greeted
		say := func(id uint32, text string) {
			t.Helper()
			r.headers(id, false, callFields)
			r.must(r.WriteData(id, true, message(wrapperspb.Bytes([]byte(text)))))
		}
		want := map[codes.Code]int{}
		expect := func(live int, code codes.Code, more int) {
			t.Helper()
			if want[code] += more; want[code] == 0 {
				delete(want, code)
			}
			synctest.Wait()
			space.check(t, live, want)
		}
		r.works(1)
		expect(0, codes.OK, 1)
		say(3, "fail!")
		_, _ = r.answer(3)
		expect(0, codes.Unavailable, 1)

		r.headers(5, false, callFields) // a call without its message yet
		expect(1, codes.OK, 0)
		r.must(r.WriteData(5, false, binary.BigEndian.AppendUint32([]byte{0}, 60)))
		expect(61, codes.OK, 0)
		r.headers(7, false, callFields) // there is no room for another like that
		r.must(r.WriteData(7, false, binary.BigEndian.AppendUint32([]byte{0}, 60)))
		if _, trailers := r.answer(7); !slices.Contains(trailers, "grpc-message: full") {
			t.Errorf("too large a call ended with %q", trailers)
		}
		go func() { _, _ = io.Copy(io.Discard, r.conn) }()
		expect(61, codes.ResourceExhausted, 1)
		r.must(r.WriteData(7, false, make([]byte, 10))) // it had not heard
		r.must(r.WriteRSTStream(5, http2.ErrCodeCancel))
		expect(0, codes.Canceled, 1)

		say(9, "wait!")
		expect(1+7, codes.OK, 0)
		r.must(r.WriteRSTStream(9, http2.ErrCodeCancel)) // it runs on
		expect(1+7, codes.OK, 0)
		r.headers(11, false, callFields)
		expect(2+7, codes.OK, 0)
		r.must(r.conn.Close())
		expect(1+7, codes.Canceled, 1)
		close(goOn)
		expect(0, codes.Canceled, 1)
	})
}

// TestStreamsStandInTheRoom: streams do as well, whatever is said on them, until they end.
func TestStreamsStandInTheRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		space := &room{most: 2, ended: map[codes.Code]int{}}
		_, dial := servePipes(t, &echo{}, grpcserver.Options{Gate: space})
		r := rawFrames(t, dial())
		greeted := make(chan struct{})
		go func() {
			defer close(greeted)
			r.greet()
		}()
		<-greeted
		r.headers(1, false, chatFields)
		r.must(r.WriteData(1, false, hello))
		r.headers(3, false, chatFields)
		r.headers(5, false, chatFields)
		if _, trailers := r.answer(5); !slices.Contains(trailers, "grpc-message: full") {
			t.Errorf("one too many ended with %q", trailers)
		}
		go func() { _, _ = io.Copy(io.Discard, r.conn) }()
		r.must(r.WriteData(1, true, nil))
		synctest.Wait()
		space.check(t, 1, map[codes.Code]int{codes.OK: 1})
		r.must(r.WriteRSTStream(3, http2.ErrCodeCancel))
		synctest.Wait()
		space.check(t, 0, map[codes.Code]int{codes.OK: 1, codes.Canceled: 1})
	})
}

// TestSlowMessages: a client that sends a message too slowly, or not at all, does not
// keep others out of the room for ever. Who is in time, if late, is served.
func TestSlowMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		space := &room{most: 100, ended: map[codes.Code]int{}}
		_, dial := servePipes(t, &echo{}, grpcserver.Options{Gate: space})
		r := rawFrames(t, dial())
		greeted := make(chan struct{})
		go func() {
			defer close(greeted)
			r.greet()
		}()
		<-greeted
		r.headers(1, false, callFields)
		synctest.Wait()
		time.Sleep(time.Millisecond) // so that the first ends first
		r.headers(3, false, callFields)
		r.must(r.WriteData(3, false, binary.BigEndian.AppendUint32([]byte{0}, 60)))
		r.headers(5, false, callFields)
		synctest.Wait()
		space.check(t, 3+60, map[codes.Code]int{})
		time.Sleep(19 * time.Second)
		r.must(r.WriteData(3, false, []byte("slow")))
		r.must(r.WriteData(5, true, hello))
		if data, _ := r.answer(5); !bytes.Equal(data, hello) {
			t.Errorf("one that was in time hears %q", data)
		}
		for _, id := range []uint32{1, 3} {
			if _, trailers := r.answer(id); !slices.Contains(trailers, "grpc-status: 4") {
				t.Errorf("call %d ended with %q", id, trailers)
			}
		}
		synctest.Wait()
		space.check(t, 0, map[codes.Code]int{codes.OK: 1, codes.DeadlineExceeded: 2})
		go func() { _, _ = io.Copy(io.Discard, r.conn) }()
		r.must(r.WriteData(3, true, []byte("too late"))) // it had not heard
		time.Sleep(time.Minute)
		space.check(t, 0, map[codes.Code]int{codes.OK: 1, codes.DeadlineExceeded: 2})
	})
}

// TestTurnedAway: calls that are not let in cost no handler, and are told why, each.
func TestTurnedAway(t *testing.T) {
	ran := 0
	e := &echo{unary: func(
		_ context.Context, in *wrapperspb.BytesValue,
	) (*wrapperspb.BytesValue, error) {
		ran++
		return in, nil
	}}
	reasons := []error{errFull, errFull, errForbidden, errFull}
	asked := 0
	addr := serve(t, e, grpcserver.Options{Gate: gate(
		func(method string, _ metadata.MD) (grpcserver.Room, error) {
			if method != "/test.Echo/Echo" {
				t.Errorf("asked about %q", method)
			}
			asked++
			return nil, reasons[asked-1]
		},
	)})
	r := dialRaw(t, addr)
	for i, reason := range reasons {
		id := uint32(2*i + 1)
		r.call(id)
		_, trailers := r.answer(id)
		if !slices.Contains(trailers, "grpc-message: "+status.Convert(reason).Message()) {
			t.Errorf("call %d ended with %q, want %v", i, trailers, reason)
		}
	}
	if ran > 0 {
		t.Errorf("%d handlers ran", ran)
	}
}

// TestAnswersTakeRoom: what a client does not take of its answers counts.
func TestAnswersTakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		space := &room{most: 100, ended: map[codes.Code]int{}}
		_, dial := servePipes(t, &echo{}, grpcserver.Options{Gate: space})
		r := rawFrames(t, dial())
		greeted := make(chan struct{})
		go func() {
			defer close(greeted)
			r.greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		}()
		<-greeted
		go func() { _, _ = io.Copy(io.Discard, r.conn) }()
		r.call(1)
		synctest.Wait()
		space.check(t, 1+len(hello)-5+len(hello), map[codes.Code]int{})
		r.must(r.WriteWindowUpdate(1, 1000))
		synctest.Wait()
		space.check(t, 0, map[codes.Code]int{codes.OK: 1})
	})
}
