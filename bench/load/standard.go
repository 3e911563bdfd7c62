package load

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// Standard is a Client of etcd's own client library. It costs many times what Lean does, and is
// there to check that Lean asks for the same.
type Standard struct {
	clients []*clientv3.Client
}

// NewStandard makes as many clients as connections; each knows all endpoints, and balances its
// calls over them.
func NewStandard(endpoints []string, connections int) (*Standard, error) {
	s := &Standard{}
	for range connections {
		client, err := clientv3.New(clientv3.Config{
			Endpoints:   endpoints,
			DialTimeout: 5 * time.Second,
			Logger:      zap.NewNop(),
		})
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.clients = append(s.clients, client)
	}
	return s, nil
}

// Close ends all clients.
func (s *Standard) Close() error {
	var errs []error
	for _, client := range s.clients {
		errs = append(errs, client.Close())
	}
	return errors.Join(errs...)
}

// Fill puts all keys once.
func (s *Standard) Fill(shape *Shape) error {
	r := newRun()
	var taken atomic.Int64
	next := func(c *chance, request *Request) bool {
		at := taken.Add(1) - 1
		if at >= int64(len(shape.Keys)) {
			return false
		}
		*request = Request{Kind: Put, Key: shape.Keys[at], Value: c.value()}
		return true
	}
	for i := range shape.Clients {
		c := s.client(i, shape, r, next)
		r.clients.Go(c.ask)
	}
	return r.stop()
}

// Run asks as w says.
func (s *Standard) Run(w *Workload, shape *Shape, window Window) (*Result, error) {
	if w.Watchers > 0 {
		return s.runWatch(w, shape, window)
	}
	r, result := newRun(), &Result{}
	next := func(c *chance, request *Request) bool {
		w.next(c, request)
		return !r.stopping.Load()
	}
	clients := make([]*standardClient, w.Clients)
	for i := range clients {
		clients[i] = s.client(i, shape, r, next)
		r.clients.Go(clients[i].ask)
	}
	if err := r.measure(window, result); err != nil {
		return nil, err
	}
	for _, c := range clients {
		result.Latency.merge(&c.latency)
	}
	result.Count = result.Latency.count
	return result, nil
}

func (s *Standard) client(i int, shape *Shape, r *run, next nextFunc) *standardClient {
	return &standardClient{
		client: s.clients[i%len(s.clients)],
		chance: newChance(shape, uint64(i)),
		run:    r,
		next:   next,
	}
}

// standardClient calls in turn, on a goroutine of its own.
type standardClient struct {
	client  *clientv3.Client
	chance  *chance
	run     *run
	next    nextFunc
	latency Histogram
}

// ask calls until next says that there is no other call, or one fails.
func (c *standardClient) ask() {
	var request Request
	var answer Answer
	for c.next(c.chance, &request) {
		start := time.Now()
		err := c.call(&request, &answer)
		if err == nil {
			err = request.check(&answer)
		}
		if err != nil {
			c.run.fail(err)
			return
		}
		if c.run.recording.Load() {
			c.latency.add(time.Since(start))
		}
	}
}

func (c *standardClient) call(r *Request, a *Answer) error {
	ctx, key, value := context.Background(), string(r.Key), string(r.Value)
	switch r.Kind {
	case Put:
		response, err := c.client.Put(ctx, key, value)
		if err != nil {
			return err
		}
		*a = Answer{Revision: response.Header.Revision}
	case Txn:
		response, err := c.client.Txn(ctx).
			If(clientv3.Compare(clientv3.CreateRevision(key), ">", 0)).
			Then(clientv3.OpPut(key, value)).Commit()
		if err != nil {
			return err
		}
		*a = Answer{Revision: response.Header.Revision, Succeeded: response.Succeeded}
	default:
		return c.read(ctx, r, a)
	}
	return nil
}

func (c *standardClient) read(ctx context.Context, r *Request, a *Answer) error {
	var options []clientv3.OpOption
	if len(r.End) > 0 {
		options = append(options, clientv3.WithRange(string(r.End)))
	}
	if r.Serializable {
		options = append(options, clientv3.WithSerializable())
	}
	response, err := c.client.Get(ctx, string(r.Key), options...)
	if err != nil {
		return err
	}
	*a = Answer{Revision: response.Header.Revision, Keys: len(response.Kvs)}
	if len(response.Kvs) > 0 {
		a.FirstKey = response.Kvs[0].Key
	}
	return nil
}
