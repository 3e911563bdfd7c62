package load

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/miruvor/miruvor/bench/h2"
)

// A Flood asks at a given rate, whatever the answers (an open loop): calls begin at random moments,
// as those of many independent clients do, and nothing that the server does holds them up. It is what shows how a server bears more than it can do; in a closed loop, slow answers
// are fewer questions.
type Flood struct {
	conns   []*floodConn
	serving sync.WaitGroup
	mu      sync.Mutex
	errs    []error // by mu: why connections ended
}

// Pace is how a flood asks.
type Pace struct {
	PerSecond float64
	Length    time.Duration
	// Patience is after how long a call without an answer is given up.
	Patience time.Duration
}

// Outcome is what became of a flood's calls. Each is one of Served, Refused, Late and Failed.
type Outcome struct {
	Offered, Served, Refused, Late, Failed int64
	Elapsed                                time.Duration
	// Latency is that of what was served, Refusal of what was refused. Lag is by how much calls
	// began after they were due: how far the load itself lagged behind.
	Latency, Refusal, Lag Histogram
	// Failures has the texts of errors but for refusals, a few, with how often they came.
	Failures map[string]int64
}

// refusedText is how etcd, and who speaks its API, refuses for lack of room.
const refusedText = "etcdserver: too many requests"

// failuresMax bounds the texts that are told apart.
const failuresMax = 20

// NewFlood connects to each endpoint perEndpoint times.
func NewFlood(endpoints []string, perEndpoint int) (*Flood, error) {
	f := &Flood{}
	for range perEndpoint {
		for _, endpoint := range endpoints {
			raw, err := net.Dial("tcp", endpoint)
			if err != nil {
				return nil, errors.Join(err, f.Close())
			}
			c := &floodConn{socket: newPatientSocket(raw)}
			if c.conn, err = h2.Open(c.socket, endpoint); err != nil {
				return nil, errors.Join(err, f.Close())
			}
			f.conns = append(f.conns, c)
			f.serving.Go(func() { f.serve(c) })
		}
	}
	return f, nil
}

func (f *Flood) serve(c *floodConn) {
	if err := c.conn.Serve(); err != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.errs = append(f.errs, err)
	}
}

// Close ends all connections.
func (f *Flood) Close() error {
	var errs []error
	for _, c := range f.conns {
		errs = append(errs, c.conn.Close())
	}
	f.serving.Wait()
	return errors.Join(append(errs, f.errs...)...)
}

// Run asks what w asks. It returns once every call was answered or given up.
func (f *Flood) Run(w *Workload, s *Shape, pace Pace) (*Outcome, error) {
	var asking sync.WaitGroup
	began := time.Now()
	share := pace
	share.PerSecond /= float64(len(f.conns))
	errs := make([]error, len(f.conns))
	for i, c := range f.conns {
		c.begin(w, newChance(s, uint64(i)), share)
		asking.Go(func() { errs[i] = c.ask(began) })
	}
	asking.Wait()
	sum := &Outcome{Elapsed: pace.Length, Failures: map[string]int64{}}
	for _, c := range f.conns {
		sum.merge(c.outcome)
	}
	return sum, errors.Join(errs...)
}

func (o *Outcome) merge(other *Outcome) {
	o.Offered += other.Offered
	o.Served += other.Served
	o.Refused += other.Refused
	o.Late += other.Late
	o.Failed += other.Failed
	o.Latency.merge(&other.Latency)
	o.Refusal.merge(&other.Refusal)
	o.Lag.merge(&other.Lag)
	for text, n := range other.Failures {
		o.Failures[text] += n
	}
}

// count takes in how a call ended.
func (o *Outcome) count(took time.Duration, err error) {
	var status *h2.Status
	switch {
	case err == nil:
		o.Served++
		o.Latency.add(took)
	case errors.As(err, &status) && status.Message == refusedText:
		o.Refused++
		o.Refusal.add(took)
	default:
		o.Failed++
		text := err.Error()
		if _, known := o.Failures[text]; known || len(o.Failures) < failuresMax {
			o.Failures[text]++
		}
	}
}

// floodConn is a connection of a flood, on which one goroutine asks and one hears.
type floodConn struct {
	conn     *h2.Conn
	socket   *patientSocket
	workload *Workload
	chance   *chance
	pace     Pace

	mu sync.Mutex
	// by mu: outcome is of this run; open are the calls in the order in which they began, of
	// which some have ended.
	outcome *Outcome
	open    []*floodCall
}

// floodCall is a call under way.
type floodCall struct {
	conn    *floodConn
	id      h2.StreamID
	began   time.Time
	request Request
	answer  Answer
	err     error
	answers int
	ended   bool // by conn.mu
}

func (c *floodConn) begin(w *Workload, ch *chance, pace Pace) {
	c.workload, c.chance, c.pace = w, ch, pace
	c.outcome, c.open = &Outcome{Failures: map[string]int64{}}, nil
}

// pause is how long the one who asks sleeps at least: calls of that time go together.
const pause = time.Millisecond

// ask begins calls as they are due, and then waits for the last.
func (c *floodConn) ask(began time.Time) error {
	end := began.Add(c.pace.Length)
	due := began
	for due = c.after(due); due.Before(end); {
		for now := time.Now(); !due.After(now) && due.Before(end); due = c.after(due) {
			if err := c.call(due); err != nil {
				return err
			}
		}
		if err := c.conn.Flush(); err != nil {
			return err
		}
		if _, err := c.giveUp(); err != nil {
			return err
		}
		time.Sleep(max(pause, min(time.Until(due), 50*pause)))
	}
	for {
		open, err := c.giveUp()
		if err != nil || open == 0 {
			return err
		}
		time.Sleep(10 * pause)
	}
}

// after is when the next call is due: in a Poisson process the gaps are exponential.
func (c *floodConn) after(due time.Time) time.Time {
	gap := c.chance.rand.ExpFloat64() / c.pace.PerSecond
	return due.Add(time.Duration(gap * float64(time.Second)))
}

func (c *floodConn) call(due time.Time) error {
	call := &floodCall{conn: c, began: time.Now()}
	if c.socket.isFull() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.outcome.Offered++
		c.outcome.Late++ // it would wait for longer than anybody has patience
		return nil
	}
	c.workload.next(c.chance, &call.request)
	message := call.request.encode(nil)
	// It is known before an answer can come.
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outcome.Offered++
	c.outcome.Lag.add(call.began.Sub(due))
	c.open = append(c.open, call)
	var err error
	call.id, err = c.conn.Start(call.request.method(), message, true, call)
	return err
}

// giveUp gives up the calls that take too long, and returns how many are under way.
func (c *floodConn) giveUp() (open int, err error) {
	now := time.Now()
	var late []*floodCall
	c.mu.Lock()
	first := 0
	for ; first < len(c.open); first++ {
		call := c.open[first]
		if !call.ended && now.Sub(call.began) < c.pace.Patience {
			break
		}
		if !call.ended {
			call.ended = true
			c.outcome.Late++
			late = append(late, call)
		}
		c.open[first] = nil
	}
	c.open = c.open[first:]
	open = len(c.open)
	c.mu.Unlock()
	for _, call := range late {
		if err := c.conn.Cancel(call.id); err != nil {
			return 0, err
		}
	}
	return open, nil
}

// Message checks an answer.
func (call *floodCall) Message(message []byte) {
	call.answers++
	if call.err = call.answer.decode(call.request.Kind, message); call.err == nil {
		call.err = call.request.check(&call.answer)
	}
}

// Done counts the call.
func (call *floodCall) Done(err error) {
	if call.answers != 1 && err == nil {
		err = fmt.Errorf("load: %d answers to a call", call.answers)
	}
	took := time.Since(call.began)
	c := call.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if call.ended {
		return
	}
	call.ended = true
	c.outcome.count(took, errors.Join(err, call.err))
}
