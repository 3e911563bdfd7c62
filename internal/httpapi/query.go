package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/miruvor/miruvor/internal/kv"
)

// query reads the parameters of a request. The first mistake stays in err
// and later reads give zero values.
type query struct {
	values url.Values
	err    error
}

// parseQuery accepts the known parameters, each at most once.
func parseQuery(r *http.Request, known ...string) *query {
	values, err := url.ParseQuery(r.URL.RawQuery)
	q := &query{values: values}
	if err != nil {
		q.err = kv.Invalid("the query cannot be read: %v", err)
		return q
	}
	for name, given := range values {
		switch {
		case len(known) == 0:
			q.fail("query parameter %q is unknown here; there are none", name)
		case !slices.Contains(known, name):
			q.fail("query parameter %q is unknown here; there are %s",
				name, strings.Join(known, ", "))
		case len(given) > 1:
			q.fail("query parameter %s is given %d times", name, len(given))
		}
	}
	return q
}

func (q *query) fail(format string, args ...any) {
	if q.err == nil {
		q.err = kv.Invalid(format, args...)
	}
}

// flag is true for name, name=1 and name=true.
func (q *query) flag(name string) bool {
	if !q.values.Has(name) || q.err != nil {
		return false
	}
	switch value := q.values.Get(name); value {
	case "", "1", "true":
		return true
	case "0", "false":
	default:
		q.fail("%s is %q, it must be true or false", name, value)
	}
	return false
}

// number is between 0, also if name is not given, and most.
func (q *query) number(name string, most int64) int64 {
	if !q.values.Has(name) || q.err != nil {
		return 0
	}
	value := q.values.Get(name)
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 || n > most {
		q.fail("%s is %q, it must be a number from 0 to %d", name, value, most)
		return 0
	}
	return n
}

func (q *query) revision(name string) kv.Revision {
	return kv.Revision(q.number(name, int64(kv.RevisionMax)))
}

// bytes is nil if name is not given.
func (q *query) bytes(name string) []byte {
	if !q.values.Has(name) || q.err != nil {
		return nil
	}
	return append([]byte{}, q.values.Get(name)...)
}

func (q *query) serializable() bool {
	switch value := q.values.Get("consistency"); value {
	case "serializable":
		return true
	case "", "linearizable":
	default:
		q.fail("consistency is %q, it must be linearizable or serializable", value)
	}
	return false
}
