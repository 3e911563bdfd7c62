package httpclient

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

const (
	// openMax is how long an endpoint may take to begin its answer.
	openMax = 10 * time.Second
	// silenceMax is how long a connection may be silent: three heartbeats.
	silenceMax = 45 * time.Second
)

// connection is the answer to a watch under way, a message a line.
type connection struct {
	endpoint *url.URL
	// name is what the endpoint calls the watch.
	name string
	// began is the revision that was current when the watch began.
	began kv.Revision
	// round is the question for progress that the connection answers, without
	// being asked or because it was. The stream's mutex guards it.
	round  *round
	ctx    context.Context
	cancel context.CancelCauseFunc
	body   io.ReadCloser
	reader *bufio.Reader
}

// compactedError refuses a watch from what is compacted.
type compactedError struct {
	error
	// oldest is what could be watched from instead.
	oldest kv.Revision
}

func (e *compactedError) Unwrap() error { return e.error }

// errSilent ends a connection that brings nothing.
var errSilent = errors.New("nothing came for too long")

// connect begins a watch at one endpoint.
func (c *Client) connect(ctx context.Context, to *url.URL, call *call) (*connection, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(openMax, func() { cancel(errSilent) })
	defer timer.Stop()
	req, err := newRequest(ctx, to, call)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	req.Header.Set("Accept", kvjson.NDJSONType)
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		defer cancel(nil)
		return nil, notBegun(ctx, to, err)
	}
	got := &reply{status: resp.StatusCode, header: resp.Header, endpoint: to}
	if got.status != http.StatusOK {
		defer cancel(nil)
		return nil, got.refusal(ctx, call, resp.Body)
	}
	return &connection{
		endpoint: to,
		name:     got.header.Get(kvjson.Watch),
		began:    got.revision(),
		ctx:      ctx,
		cancel:   cancel,
		body:     resp.Body,
		reader:   bufio.NewReader(resp.Body),
	}, nil
}

// notBegun is what it means that no answer began.
func notBegun(ctx context.Context, to *url.URL, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, errSilent) {
		return fmt.Errorf("%w: no answer from %s: %w", kv.ErrTimeout, to.Host, cause)
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return &tryNextError{fmt.Errorf("%w: %s: %w", ErrUnreachable, to.Host, err)}
}

// refusal is the error that an answer other than a watch stands for.
func (r *reply) refusal(ctx context.Context, call *call, body io.ReadCloser) error {
	defer body.Close()
	var err error
	if r.body, err = io.ReadAll(io.LimitReader(body, replyBytesMax)); err != nil {
		return notBegun(ctx, r.endpoint, err)
	}
	err = r.failure(call)
	if !errors.Is(err, kv.ErrCompacted) {
		return err
	}
	var p kvjson.Problem
	if json.Unmarshal(r.body, &p) != nil || p.Compacted == 0 {
		// The node could not tell; the current revision surely is not too old.
		p.Compacted = r.revision()
	}
	return &compactedError{error: err, oldest: p.Compacted}
}

// next reads the next message. The error is errReopen if that is why the
// connection ended.
func (c *connection) next() (kv.WatchResponse, error) {
	watchdog := time.AfterFunc(silenceMax, func() { c.cancel(errSilent) })
	defer watchdog.Stop()
	line, err := c.line()
	if err != nil {
		if cause := context.Cause(c.ctx); cause != nil {
			err = cause
		}
		return kv.WatchResponse{}, err
	}
	var m kvjson.Message
	if err := json.Unmarshal(line, &m); err != nil {
		return kv.WatchResponse{}, fmt.Errorf("message of %s: %w", c.endpoint.Host, err)
	}
	if m.Error != nil {
		return kv.WatchResponse{}, fmt.Errorf("%s: %s", c.endpoint.Host, m.Error.Detail)
	}
	return m.Decode()
}

// line reads up to the end of a line. Half a line is none.
func (c *connection) line() ([]byte, error) {
	var line []byte
	for {
		part, err := c.reader.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(line) > replyBytesMax:
			return nil, fmt.Errorf("message of %s: more than %d bytes",
				c.endpoint.Host, replyBytesMax)
		}
	}
}

func (c *connection) close() {
	c.cancel(nil)
	_ = c.body.Close()
}
