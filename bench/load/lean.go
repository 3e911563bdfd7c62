package load

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/miruvor/miruvor/bench/h2"
)

// Lean is a Client of hand-written HTTP/2 and messages. A connection's clients run where its
// answers are read.
type Lean struct {
	conns   []*h2.Conn
	serving sync.WaitGroup
	mu      sync.Mutex
	errs    []error // by mu: why connections ended
}

// NewLean connects to each endpoint perEndpoint times.
func NewLean(endpoints []string, perEndpoint int) (*Lean, error) {
	l := &Lean{}
	for range perEndpoint {
		for _, endpoint := range endpoints {
			conn, err := h2.Dial(endpoint)
			if err != nil {
				return nil, errors.Join(err, l.Close())
			}
			l.conns = append(l.conns, conn)
			l.serving.Go(func() { l.serve(conn) })
		}
	}
	return l, nil
}

func (l *Lean) serve(conn *h2.Conn) {
	if err := conn.Serve(); err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.errs = append(l.errs, err)
	}
}

// Close ends all connections.
func (l *Lean) Close() error {
	for _, conn := range l.conns {
		l.errs = append(l.errs, conn.Close())
	}
	l.serving.Wait()
	return errors.Join(l.errs...)
}

// Fill puts all keys once.
func (l *Lean) Fill(s *Shape) error {
	r := newRun()
	pending := make(chan []byte, len(s.Keys))
	for _, key := range s.Keys {
		pending <- key
	}
	close(pending)
	next := func(c *chance, request *Request) bool {
		key, ok := <-pending
		*request = Request{Kind: Put, Key: key, Value: c.value()}
		return ok
	}
	for i := range s.Clients {
		l.client(i, s.Clients, s, r, next).begin()
	}
	if err := l.flush(); err != nil {
		return err
	}
	return r.stop()
}

// Run asks as w says.
func (l *Lean) Run(w *Workload, s *Shape, window Window) (*Result, error) {
	if w.Watchers > 0 {
		return l.runWatch(w, s, window)
	}
	r, result := newRun(), &Result{}
	next := func(c *chance, request *Request) bool {
		if r.stopping.Load() {
			return false
		}
		w.next(c, request)
		return true
	}
	clients := make([]*leanClient, w.Clients)
	for i := range clients {
		clients[i] = l.client(i, w.Clients, s, r, next)
		clients[i].begin()
	}
	if err := l.flush(); err != nil {
		return nil, err
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

func (l *Lean) flush() error {
	for _, conn := range l.conns {
		if err := conn.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// client is the i-th of a run. If there are fewer than connections, each takes all in turn, as a
// balancing client does; else each stays with one.
func (l *Lean) client(i, clients int, s *Shape, r *run, next nextFunc) *leanClient {
	c := &leanClient{
		conns:  l.conns,
		chance: newChance(s, uint64(i)),
		run:    r,
		next:   next,
	}
	c.then = c.ask
	if clients >= len(l.conns) {
		at := i % len(l.conns)
		c.conns = l.conns[at : at+1]
	}
	return c
}

// nextFunc fills a request; false ends the client.
type nextFunc func(c *chance, r *Request) bool

// leanClient has one call under way, until next says that there is no other.
type leanClient struct {
	conns   []*h2.Conn // taken in turn
	turn    int
	chance  *chance
	run     *run
	next    nextFunc
	then    func() // after a call, else ask
	latency Histogram

	request Request
	message []byte
	answer  Answer
	start   time.Time
	answers int // to this call
	err     error
}

func (c *leanClient) begin() {
	c.run.clients.Add(1)
	c.ask()
}

func (c *leanClient) ask() {
	if !c.next(c.chance, &c.request) {
		c.run.clients.Done()
		return
	}
	c.message = c.request.encode(c.message[:0])
	c.answers, c.err, c.start = 0, nil, time.Now()
	conn := c.conns[c.turn%len(c.conns)]
	c.turn++
	_, err := conn.Start(c.request.method(), c.message, true, c)
	if err == nil && len(c.conns) > 1 {
		err = conn.Flush() // its reader is another than the one that calls
	}
	if err != nil {
		c.run.fail(err)
	}
}

// Message checks an answer.
func (c *leanClient) Message(message []byte) {
	c.answers++
	if c.err = c.answer.decode(c.request.Kind, message); c.err == nil {
		c.err = c.request.check(&c.answer)
	}
}

// Done counts the call, and begins the next.
func (c *leanClient) Done(err error) {
	if c.answers != 1 && err == nil {
		err = fmt.Errorf("load: %d answers to a call", c.answers)
	}
	if err = errors.Join(err, c.err); err != nil {
		c.run.fail(err)
		return
	}
	if c.run.recording.Load() {
		c.latency.add(time.Since(c.start))
	}
	c.then()
}
