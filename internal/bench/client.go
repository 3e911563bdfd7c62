package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"
)

// Pauses after an answer that says that asking at once is of no use.
const (
	pauseUnreachable = 50 * time.Millisecond
	pauseOverloaded  = 10 * time.Millisecond
)

// client sends one request after the other.
type client struct {
	config *Config
	// next is the index of the target to connect to next.
	next   int
	conn   *conn
	target string
	// release undoes that the end of the load closes the connection.
	release func() bool
	random  *rand.Rand
	// noise is what values are cut from, so that they do not compress.
	noise   []byte
	request []byte
	tally   tally
}

func newClient(config *Config, index int, noise []byte) *client {
	return &client{
		config: config,
		next:   index % len(config.Targets),
		random: rand.New(rand.NewPCG(config.Seed, uint64(index))),
		noise:  noise,
		tally:  newTally(),
	}
}

// operate does one operation on the key with number n, counts it, and tells
// whether it succeeded.
func (c *client) operate(ctx context.Context, read bool, n int) bool {
	if c.conn == nil && !c.connect(ctx) {
		return false
	}
	if read {
		c.buildGet(n)
	} else {
		c.buildPut(n)
	}
	begin := time.Now()
	answer, err := c.conn.roundTrip(c.request)
	took := time.Since(begin)
	switch {
	case ctx.Err() != nil:
		c.hangUp()
	case err != nil:
		c.hangUp()
		c.tally.failed(kindOfError(err))
		pause(ctx, pauseUnreachable)
	default:
		return c.count(ctx, read, answer, took)
	}
	return false
}

// connect makes a connection to the next target.
func (c *client) connect(ctx context.Context) bool {
	c.target = c.config.Targets[c.next]
	c.next = (c.next + 1) % len(c.config.Targets)
	conn, err := dial(ctx, c.target, c.config.Timeout)
	if err != nil {
		if ctx.Err() == nil {
			c.tally.failed(kindOfError(err))
			pause(ctx, pauseUnreachable)
		}
		return false
	}
	c.conn = conn
	c.release = context.AfterFunc(ctx, conn.close)
	return true
}

func (c *client) hangUp() {
	if c.conn != nil {
		c.release()
		c.conn.close()
		c.conn = nil
	}
}

// count counts a whole answer and tells whether it is a success.
func (c *client) count(ctx context.Context, read bool, a answer, took time.Duration) bool {
	missing := read && a.status == http.StatusNotFound
	ok := a.status < 300 || missing
	if ok {
		c.tally.done(read, missing, took)
	} else {
		c.tally.failed(kindOfAnswer(a))
		if a.status == http.StatusTooManyRequests || a.status >= 500 {
			pause(ctx, pauseOverloaded)
		}
	}
	if a.closes {
		c.hangUp()
	}
	return ok
}

func (c *client) buildGet(n int) {
	b := append(c.request[:0], "GET "...)
	b = c.config.appendPath(b, n)
	if c.config.Serializable {
		b = append(b, "?consistency=serializable"...)
	}
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, c.target...)
	c.request = append(b, "\r\n\r\n"...)
}

func (c *client) buildPut(n int) {
	b := append(c.request[:0], "PUT "...)
	b = c.config.appendPath(b, n)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, c.target...)
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(c.config.ValueBytes), 10)
	b = append(b, "\r\n\r\n"...)
	from := c.random.IntN(len(c.noise) - c.config.ValueBytes + 1)
	c.request = append(b, c.noise[from:from+c.config.ValueBytes]...)
}

// kindOfError names what went wrong with a connection.
func kindOfError(err error) string {
	var op *net.OpError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, errMalformed):
		return err.Error()
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection lost"
	case errors.As(err, &op):
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}

// kindOfAnswer names an answer that is an error: by the code of its problem
// document, or else by its status.
func kindOfAnswer(a answer) string {
	var problem struct {
		Code string `json:"code"`
	}
	if json.Unmarshal(a.body, &problem) == nil && problem.Code != "" {
		return problem.Code
	}
	return fmt.Sprintf("HTTP %d %s", a.status, http.StatusText(a.status))
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
