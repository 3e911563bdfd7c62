package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// The routes of the Elixir store that Miruvor takes its name from. Clients
// written for it work unchanged: its answers are Elixir terms as text, like
// {:ok, "value"} and {:error, :not_found}, and success is always 200. What it
// only had a placeholder for, update and delete, does what it says here.
const (
	readRoute   = "/read/"
	writeRoute  = "/write/"
	updateRoute = "/update/"
	deleteRoute = "/delete/"
)

// index is GET /.
func (a *api) index(w http.ResponseWriter, r *http.Request) error {
	status, err := a.store.Status(r.Context())
	if err != nil {
		return err
	}
	a.reached(w, status.Revision)
	text := fmt.Sprintf("Miruvor %s, node %s at revision %d.\n"+
		"Try:  curl -X PUT -d world http://%s/v1/kv/hello\n"+
		"      curl http://%s/v1/kv/hello\n"+
		"All routes: /openapi.json\n",
		status.Version, status.Name, int64(status.Revision), r.Host, r.Host)
	answer(w, r, http.StatusOK, kvjson.TextType, []byte(text))
	return nil
}

// originalRead is GET /read/{key}.
func (a *api) originalRead(w http.ResponseWriter, r *http.Request) error {
	args, err := a.segments(r, readRoute, 1)
	if err != nil {
		return err
	}
	resp, err := a.store.Range(r.Context(), kv.RangeRequest{Range: kv.PointRange(args[0])})
	if err != nil {
		return err
	}
	a.reached(w, resp.Revision)
	if len(resp.KVs) == 0 {
		answer(w, r, http.StatusNotFound, kvjson.TextType, []byte("{:error, :not_found}"))
		return nil
	}
	sendTerm(w, r, resp.KVs[0].Value)
	return nil
}

// originalWrite is POST /write/{key}/{value}.
func (a *api) originalWrite(w http.ResponseWriter, r *http.Request) error {
	return a.originalPut(w, r, writeRoute)
}

// originalUpdate is PUT /update/{key}/{value}, the same as a write.
func (a *api) originalUpdate(w http.ResponseWriter, r *http.Request) error {
	return a.originalPut(w, r, updateRoute)
}

func (a *api) originalPut(w http.ResponseWriter, r *http.Request, prefix string) error {
	args, err := a.segments(r, prefix, 2)
	if err != nil {
		return err
	}
	resp, err := kv.Put(r.Context(), a.store, kv.PutRequest{Key: args[0], Value: args[1]})
	if err != nil {
		return err
	}
	a.reached(w, resp.Revision)
	sendTerm(w, r, args[1])
	return nil
}

// originalDelete is DELETE /delete/{key}. A key that is not there is as good
// as deleted.
func (a *api) originalDelete(w http.ResponseWriter, r *http.Request) error {
	args, err := a.segments(r, deleteRoute, 1)
	if err != nil {
		return err
	}
	keys := kv.PointRange(args[0])
	resp, err := kv.Delete(r.Context(), a.store, kv.DeleteRequest{Range: keys})
	if err != nil {
		return err
	}
	a.reached(w, resp.Revision)
	sendTerm(w, r, args[0])
	return nil
}

// segments are the n parts of the path behind prefix, each percent-decoded
// once; the first is a key.
func (a *api) segments(r *http.Request, prefix string, n int) ([][]byte, error) {
	parts := strings.Split(strings.TrimPrefix(writtenPath(r.URL), prefix), "/")
	if len(parts) != n || parts[0] == "" || parts[n-1] == "" {
		return nil, problemError{kvjson.RouteNotFound.New(fmt.Sprintf(
			"behind %s there must be %d parts, none empty; write / as %%2F", prefix, n))}
	}
	args := make([][]byte, n)
	for i, part := range parts {
		text, err := url.PathUnescape(part)
		if err != nil {
			return nil, kv.Invalid("the path cannot be read: %v", err)
		}
		args[i] = []byte(text)
	}
	_, err := a.checkedKey(string(args[0]))
	return args, err
}

// sendTerm answers {:ok, value}.
func sendTerm(w http.ResponseWriter, r *http.Request, value []byte) {
	term := append([]byte("{:ok, "), inspected(value)...)
	answer(w, r, http.StatusOK, kvjson.TextType, append(term, '}'))
}

// inspected prints b as Elixir does: printable text as a string, any other
// bytes as <<1, 2, 3>>.
func inspected(b []byte) string {
	var out strings.Builder
	if !printable(b) {
		for i, c := range b {
			out.WriteString([...]string{"<<", ", "}[min(i, 1)])
			fmt.Fprint(&out, c)
		}
		return out.String() + ">>"
	}
	out.WriteByte('"')
	for i, c := range string(b) {
		escaped, ok := elixirEscapes[c]
		switch {
		case ok:
			out.WriteString(escaped)
		case c == '#' && i+1 < len(b) && b[i+1] == '{':
			out.WriteString(`\#`)
		default:
			out.WriteRune(c)
		}
	}
	out.WriteByte('"')
	return out.String()
}

// elixirEscapes are the characters that Elixir prints as escapes; but for
// these, control characters make a string unprintable.
var elixirEscapes = map[rune]string{
	'"': `\"`, '\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\v': `\v`,
	'\b': `\b`, '\f': `\f`, '\a': `\a`, 0x1b: `\e`,
}

func printable(b []byte) bool {
	if !utf8.Valid(b) {
		return false
	}
	for _, c := range string(b) {
		if elixirEscapes[c] == "" && unicode.IsControl(c) {
			return false
		}
	}
	return true
}
