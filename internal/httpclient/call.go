package httpclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// replyBytesMax bounds what is read of one answer.
const replyBytesMax = 1 << 30

// call is a request before it is known which endpoint gets it.
type call struct {
	method string
	// path is escaped.
	path  string
	query url.Values
	body  []byte
	// writes tells that the call may change something.
	writes bool
}

// reply is an answer, read whole.
type reply struct {
	status   int
	header   http.Header
	body     []byte
	endpoint *url.URL
}

// revision is the one that the answer came at.
func (r *reply) revision() kv.Revision {
	return kv.Revision(r.number(kvjson.Revision))
}

// number is the header name as a number, 0 if it is none.
func (r *reply) number(name string) int64 {
	n, err := strconv.ParseInt(r.header.Get(name), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// do sends call to the endpoint that worked last, or to those behind it
// where the rules of the package allow. The reply is a success.
func (c *Client) do(ctx context.Context, call *call) (*reply, error) {
	var got *reply
	err := c.eachEndpoint(ctx, func(to *url.URL) (answered bool, err error) {
		got, err = c.attempt(ctx, to, call)
		return got != nil, err
	})
	return got, err
}

// eachEndpoint runs attempt on the endpoint that worked last, and on those
// behind it while it fails with a tryNextError.
func (c *Client) eachEndpoint(
	ctx context.Context, attempt func(to *url.URL) (answered bool, err error),
) error {
	first := int(c.current.Load())
	var failed error
	for i := range c.endpoints {
		at := (first + i) % len(c.endpoints)
		answered, err := attempt(c.endpoints[at])
		var next *tryNextError
		if !errors.As(err, &next) {
			if !answered {
				at++ // the next call asks another
			}
			c.current.Store(int32(at % len(c.endpoints)))
			return err
		}
		// What a node says tells more than that another cannot be reached.
		if failed == nil || !errors.Is(next.error, ErrUnreachable) {
			failed = next.error
		}
		if ctx.Err() != nil {
			break
		}
	}
	return failed
}

// leave makes the next call ask another endpoint than from, if there is one.
func (c *Client) leave(from *url.URL) {
	at := slices.Index(c.endpoints, from)
	c.current.CompareAndSwap(int32(at), int32((at+1)%len(c.endpoints)))
}

// tryNextError is a failure after which another endpoint may be asked.
type tryNextError struct{ error }

func (e *tryNextError) Unwrap() error { return e.error }

// attempt sends call to one endpoint.
func (c *Client) attempt(ctx context.Context, to *url.URL, call *call) (*reply, error) {
	sent := false
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent = true }}
	req, err := newRequest(httptrace.WithClientTrace(ctx, trace), to, call)
	if err != nil {
		return nil, err
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, lost(ctx, to, call, sent, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, replyBytesMax))
	if err != nil {
		return nil, lost(ctx, to, call, true, err)
	}
	got := &reply{status: resp.StatusCode, header: resp.Header, body: body, endpoint: to}
	if got.status/100 == 2 {
		return got, nil
	}
	return got, got.failure(call)
}

func newRequest(ctx context.Context, to *url.URL, call *call) (*http.Request, error) {
	target := to.String() + call.path
	if len(call.query) > 0 {
		target += "?" + call.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, call.method, target, bytes.NewReader(call.body))
	if err != nil {
		return nil, fmt.Errorf("request to %s: %w", to.Host, err)
	}
	return req, nil
}

// lost is what it means that no answer came. sent tells whether the request
// may have gone out.
func lost(ctx context.Context, to *url.URL, call *call, sent bool, err error) error {
	switch {
	case sent && call.writes:
		return fmt.Errorf("%w: no answer from %s: %w", kv.ErrUncertain, to.Host, err)
	case ctx.Err() != nil:
		return fmt.Errorf("%w: no answer from %s: %w", kv.ErrTimeout, to.Host, err)
	}
	return &tryNextError{fmt.Errorf("%w: %s: %w", ErrUnreachable, to.Host, err)}
}

// failure is the error that an answer without success stands for.
func (r *reply) failure(call *call) error {
	var p kvjson.Problem
	kind, _, _ := mime.ParseMediaType(r.header.Get("Content-Type"))
	if kind != kvjson.ProblemType || json.Unmarshal(r.body, &p) != nil {
		return r.strange(call)
	}
	err := p.Err()
	switch {
	case p.Uncertain && call.writes && !errors.Is(err, kv.ErrUncertain):
		return fmt.Errorf("%w: %s: %s", kv.ErrUncertain, r.endpoint.Host, p.Detail)
	case err == nil:
		return fmt.Errorf("%s: %s: %s", r.endpoint.Host, p.Title, p.Detail)
	case r.status == http.StatusServiceUnavailable && !(p.Uncertain && call.writes):
		return &tryNextError{err}
	}
	return err
}

// strange is an answer that no node gave: a proxy's, or another program's.
func (r *reply) strange(call *call) error {
	err := fmt.Errorf("%s answers with status %d, which is not Miruvor's",
		r.endpoint.Host, r.status)
	switch {
	case r.status == http.StatusRequestHeaderFieldsTooLarge:
		return kv.Invalid("the keys are too long for the header of a request")
	case call.writes && r.status >= http.StatusInternalServerError:
		return fmt.Errorf("%w: %w", kv.ErrUncertain, err)
	case r.status >= http.StatusInternalServerError:
		return &tryNextError{err}
	}
	return err
}

// decode reads the JSON of a successful answer. What a write did is unknown
// if its answer makes no sense.
func (r *reply) decode(call *call, into any) error {
	err := json.Unmarshal(r.body, into)
	switch {
	case err == nil:
		return nil
	case call.writes:
		return fmt.Errorf("%w: answer of %s: %w", kv.ErrUncertain, r.endpoint.Host, err)
	}
	return fmt.Errorf("answer of %s: %w", r.endpoint.Host, err)
}
