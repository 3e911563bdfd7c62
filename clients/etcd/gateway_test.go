package etcd

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// object is JSON as the gateway's clients read it, with no types of etcd.
type object = map[string]any

// gateway is an HTTP client of one node at a time, as those are that speak
// JSON: who fails is left for the next.
type gateway struct {
	endpoints []string
	current   int
	http      http.Client
}

// refusal is an answer that is an error.
type refusal struct {
	status  int
	code    float64
	message string
}

func (r *refusal) Error() string { return fmt.Sprintf("%d: %s", r.status, r.message) }

func newGateway(c *cluster) *gateway {
	return &gateway{endpoints: c.endpoints, http: http.Client{Transport: &http.Transport{}}}
}

// call posts a request to the current node.
func (g *gateway) call(ctx context.Context, path string, body object) (object, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	response, err := g.open(ctx, http.MethodPost, path, body)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	var answer object
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, err
	}
	// A stream of one answer wraps it.
	if result, ok := answer["result"].(object); ok {
		return result, nil
	}
	return answer, nil
}

// open sends a request and leaves the answer to be read, unless it is an error.
func (g *gateway) open(ctx context.Context, method, path string, body object) (
	*http.Response, error,
) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	url := g.endpoints[g.current] + path
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := g.http.Do(request)
	if err != nil {
		g.next()
		return nil, err
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer func() { _ = response.Body.Close() }()
	return nil, g.refused(response)
}

// refused reads an error. Who says that it cannot serve is left for the next.
func (g *gateway) refused(response *http.Response) error {
	text, _ := io.ReadAll(response.Body)
	var answer object
	_ = json.Unmarshal(text, &answer)
	r := &refusal{status: response.StatusCode, message: string(text)}
	if message, ok := answer["message"].(string); ok {
		r.message = message
	}
	r.code, _ = answer["code"].(float64)
	if r.status >= http.StatusInternalServerError {
		g.next()
	}
	return r
}

func (g *gateway) next() { g.current = (g.current + 1) % len(g.endpoints) }

// watch posts a request for a watch and hands on what comes, until the stream
// ends or heard says that it is enough.
func (g *gateway) watch(ctx context.Context, path string, create object,
	heard func(result object) bool,
) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// A node that has gone silent is left too.
	silence := time.AfterFunc(callTimeout, cancel)
	defer silence.Stop()
	response, err := g.open(ctx, http.MethodPost, path, object{"create_request": create})
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	for decoder := json.NewDecoder(response.Body); ; {
		var message object
		if err := decoder.Decode(&message); err != nil {
			g.next()
			return err
		}
		silence.Reset(callTimeout)
		result, ok := message["result"].(object)
		if !ok {
			g.next()
			return fmt.Errorf("watch: %v", message)
		}
		if !heard(result) {
			return nil
		}
	}
}

// encode and decode are how keys and values go through JSON.
func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func decoded(v any) string {
	text, _ := v.(string)
	out, _ := base64.StdEncoding.DecodeString(text)
	return string(out)
}

// number reads an integer of 64 bits, which JSON has as a string; one that is
// left out is zero.
func number(v any) int64 {
	text, _ := v.(string)
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}

// list reads an array of objects; one that is left out is empty.
func list(v any) []object {
	all, _ := v.([]any)
	var objects []object
	for _, one := range all {
		o, _ := one.(object)
		objects = append(objects, o)
	}
	return objects
}

// revision is what the header of an answer says.
func revision(answer object) int64 {
	header, _ := answer["header"].(object)
	return number(header["revision"])
}

// after is the end of the keys that begin with a prefix.
func after(prefix string) string {
	return prefix[:len(prefix)-1] + string(prefix[len(prefix)-1]+1)
}
