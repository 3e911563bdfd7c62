package kvjson

import (
	"errors"
	"net/http"

	"github.com/miruvor/miruvor/internal/kv"
)

// ProblemType is the media type of a problem document (RFC 9457).
const ProblemType = "application/problem+json"

// problemDocs is where codes are explained; a code's heading follows.
const problemDocs = "https://github.com/miruvor/miruvor/blob/main/docs/http-api.md#"

// Problem is an error as clients get it.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Detail is the text of the error: the field and the bound, say.
	Detail string `json:"detail,omitempty"`
	// Instance is the path of the request.
	Instance string `json:"instance,omitempty"`
	// Code names the kind of error for programs; it never changes.
	Code string `json:"code"`
	// Uncertain tells that a write may or may not take effect. Otherwise it
	// has not and never will.
	Uncertain bool `json:"uncertain,omitempty"`
	// Compacted is, of a watch that cannot begin where it should, the oldest
	// revision that it could begin at.
	Compacted kv.Revision `json:"compacted,omitempty"`
}

// Kind is a kind of problem.
type Kind struct {
	Code   string
	Status int
	// Title says what kind it is; empty, Err does.
	Title string
	// Err is the sentinel that the kind stands for; nil if the API itself
	// and not the store has the problem.
	Err error
	// RetryAfterSeconds, if not zero, is when it makes sense to try again.
	RetryAfterSeconds int
}

// Kinds of problems that only the API has.
var (
	PreconditionFailed = Kind{
		Code: "precondition_failed", Status: http.StatusPreconditionFailed,
		Title: "the key is not as If-Match or If-None-Match wants it",
	}
	RouteNotFound = Kind{
		Code: "route_not_found", Status: http.StatusNotFound, Title: "there is no such route",
	}
	WatchNotFound = Kind{
		Code: "watch_not_found", Status: http.StatusNotFound,
		Title: "there is no such watch on this node",
	}
	MethodNotAllowed = Kind{
		Code: "method_not_allowed", Status: http.StatusMethodNotAllowed,
		Title: "the route does not have this method",
	}
	Internal = Kind{
		Code: "internal", Status: http.StatusInternalServerError, Title: "internal error",
	}
)

// kinds is the one table from sentinels to answers. The first that fits is
// taken, so what is uncertain stays so whatever else went wrong.
var kinds = []Kind{
	{Code: "uncertain", Status: 503, Err: kv.ErrUncertain},
	{Code: "invalid", Status: 400, Err: kv.ErrInvalid},
	{Code: "too_large", Status: 413, Err: kv.ErrTooLarge},
	{Code: "too_many_operations", Status: 400, Err: kv.ErrTooManyOps},
	{Code: "duplicate_key", Status: 400, Err: kv.ErrDuplicateKey},
	{Code: "key_not_found", Status: 404, Err: kv.ErrKeyNotFound},
	{Code: "compacted", Status: 410, Err: kv.ErrCompacted},
	{Code: "future_revision", Status: 400, Err: kv.ErrFutureRevision},
	{Code: "conflict", Status: 409, Err: kv.ErrConflict, RetryAfterSeconds: 1},
	{Code: "lease_not_found", Status: 404, Err: kv.ErrLeaseNotFound},
	{Code: "lease_exists", Status: 409, Err: kv.ErrLeaseExists},
	{Code: "lease_ttl_too_large", Status: 400, Err: kv.ErrLeaseTTLTooLarge},
	{Code: "no_space", Status: 507, Err: kv.ErrNoSpace},
	{Code: "not_leader", Status: 409, Err: kv.ErrNotLeader},
	{Code: "bad_transferee", Status: 400, Err: kv.ErrBadTransferee},
	{Code: "no_leader", Status: 503, Err: kv.ErrNoLeader, RetryAfterSeconds: 1},
	{Code: "timeout", Status: 504, Err: kv.ErrTimeout},
	{Code: "too_many_requests", Status: 429, Err: kv.ErrTooManyRequests, RetryAfterSeconds: 1},
	{Code: "stopped", Status: 503, Err: kv.ErrStopped},
	{Code: "not_ready", Status: 503, Err: kv.ErrNotReady, RetryAfterSeconds: 1},
	{Code: "corrupt", Status: 500, Err: kv.ErrCorrupt},
}

// Kinds lists every kind there is.
func Kinds() []Kind {
	own := []Kind{PreconditionFailed, RouteNotFound, WatchNotFound, MethodNotAllowed, Internal}
	return append(own, kinds...)
}

// KindOf is the kind of the sentinel that err wraps, or Internal.
func KindOf(err error) Kind {
	for _, kind := range kinds {
		if errors.Is(err, kind.Err) {
			return kind
		}
	}
	return Internal
}

// New is a problem of kind k.
func (k Kind) New(detail string) Problem {
	title := k.Title
	if title == "" {
		title = k.Err.Error()
	}
	return Problem{
		Type:   problemDocs + k.Code,
		Title:  title,
		Status: k.Status,
		Detail: detail,
		Code:   k.Code,
		// Of an error that nobody foresaw, nobody knows what it left.
		Uncertain: k.Code == "uncertain" || k.Code == Internal.Code,
	}
}

// Err is the error that p stands for: it wraps the sentinel of p's code and
// reads like p's detail. A code without a sentinel gives nil.
func (p *Problem) Err() error {
	for _, kind := range kinds {
		if kind.Code == p.Code {
			return &reportedError{text: p.Detail, sentinel: kind.Err}
		}
	}
	return nil
}

// reportedError is an error that a server reported.
type reportedError struct {
	text     string
	sentinel error
}

func (e *reportedError) Unwrap() error { return e.sentinel }

func (e *reportedError) Error() string {
	if e.text == "" {
		return e.sentinel.Error()
	}
	return e.text
}
