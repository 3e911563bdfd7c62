package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/cockroachdb/datadriven"

	"github.com/miruvor/miruvor/internal/httpapi"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// TestStories sends the requests in testdata and compares whole answers. A
// request is its method and path, then lines of headers, then the body;
// "Body: …" is a body in Go's quotes. A problem is printed as its code and
// detail, unless the path is followed by "whole"; "no-body" hides the body, and
// "tail=N" all but its last lines. "body-bytes=N" makes a body of that size, and
// "messages=N" hangs up once a watch told so many.
// Every answer is held against openapi.json.
// Other commands:
//
//	compact rev=N     compacts the store
//	expire            lets a minute go by
//	alarm node=N K …  raises alarms of these kinds
//	fail code=C       lets the store fail with the sentinel of that code
//	unready           lets the node say that it is starting
//	fail code=C after let one more read succeed before
//	hold              opens the watch that {watch} in a path stands for
//	late-compaction   lets watches find what they ask for compacted later
//	stop-watches      lets watches end because the node stops
//	load keys=N       puts keys load/0000 and on in one revision each
func TestStories(t *testing.T) {
	doc := loadDescription(t)
	files, err := filepath.Glob("testdata/stories/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		s := newStory(t, doc)
		datadriven.RunTest(t, path, s.command)
		told++
	})
	// The stories together show every answer that openapi.json describes.
	if unseen := doc.unseen(); told == len(files) && len(unseen) > 0 {
		t.Errorf("described, but in no story:\n%s", strings.Join(unseen, "\n"))
	}
}

type story struct {
	doc    *description
	fake   *kvfake.Store
	store  *faultyStore
	server *httptest.Server
	// now is the time that leases go by.
	now time.Time
	// held is the name of the watch that is kept open.
	held string
}

func newStory(t *testing.T, doc *description) *story {
	s := &story{doc: doc, now: time.Unix(0, 0)}
	s.fake = kvfake.New(kvfake.WithClock(func() time.Time { return s.now }))
	s.store = &faultyStore{Store: s.fake}
	s.server = httptest.NewServer(httpapi.New(s.store, httpapi.Options{
		Pprof: true, Maintainer: s.fake,
	}))
	t.Cleanup(s.server.Close)
	return s
}

func (s *story) command(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "compact":
		var rev int64
		d.ScanArgs(t, "rev", &rev)
		if _, err := s.fake.Compact(t.Context(), kv.Revision(rev)); err != nil {
			d.Fatalf(t, "%v", err)
		}
		return ""
	case "alarm":
		var node uint64
		d.ScanArgs(t, "node", &node)
		for _, arg := range d.CmdArgs[1:] {
			a := kv.Alarm{Node: kv.NodeID(node)}
			if err := a.Kind.UnmarshalText([]byte(arg.Key)); err != nil {
				d.Fatalf(t, "%v", err)
			}
			if _, err := s.fake.RaiseAlarm(t.Context(), a); err != nil {
				d.Fatalf(t, "%v", err)
			}
		}
		return ""
	case "expire":
		s.now = s.now.Add(time.Minute)
		s.fake.Expire()
		return ""
	case "fail":
		var code string
		d.ScanArgs(t, "code", &code)
		s.store.failWith(t, code, d.HasArg("after"))
		return ""
	case "hold":
		s.hold(t)
		return ""
	case "late-compaction":
		s.store.watch = &kv.WatchResponse{ID: 1, Compacted: 4}
		return ""
	case "stop-watches":
		s.store.watch = &kv.WatchResponse{}
		return ""
	case "unready":
		s.store.waiting = "a leader of the system shard"
		return ""
	case "load":
		var keys int
		d.ScanArgs(t, "keys", &keys)
		load(t, s.fake, keys)
		return ""
	}
	return s.request(t, d)
}

// hold keeps a watch open until the story ends.
func (s *story) hold(t *testing.T) {
	resp, err := s.server.Client().Get(s.server.URL + "/v1/watch")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	s.held = resp.Header.Get(kvjson.Watch)
}

var headerLine = regexp.MustCompile(`^[A-Z][A-Za-z-]*: `)

func (s *story) request(t *testing.T, d *datadriven.TestData) string {
	req := &http.Request{
		Method: d.Cmd,
		URL:    &url.URL{Scheme: "http", Host: s.server.Listener.Addr().String()},
		Host:   "localhost:2379",
		Header: http.Header{"User-Agent": nil, "Accept-Encoding": {"identity"}},
	}
	// An opaque URL goes out as it stands.
	req.URL.Opaque = strings.ReplaceAll(d.CmdArgs[0].String(), "{watch}", s.held)
	lines := strings.Split(d.Input, "\n")
	for len(lines) > 0 && headerLine.MatchString(lines[0]) {
		name, value, _ := strings.Cut(lines[0], ": ")
		lines = lines[1:]
		if name != "Body" {
			req.Header.Add(name, value)
			continue
		}
		body, err := strconv.Unquote(value)
		if err != nil {
			d.Fatalf(t, "%q: %v", value, err)
		}
		lines = []string{body}
	}
	body := strings.Join(lines, "\n")
	if d.HasArg("body-bytes") {
		var size int
		d.ScanArgs(t, "body-bytes", &size)
		body = strings.Repeat("x", size)
	}
	if body != "" {
		req.Body = io.NopCloser(strings.NewReader(body))
		req.ContentLength = int64(len(body))
	}
	resp, err := s.server.Client().Transport.RoundTrip(req)
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	defer resp.Body.Close()
	read := io.ReadAll
	if d.HasArg("messages") {
		var n int
		d.ScanArgs(t, "messages", &n)
		read = func(r io.Reader) ([]byte, error) { return messages(bufio.NewReader(r), n) }
	}
	got, err := read(resp.Body)
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	return s.show(t, d, req, resp, got)
}

// messages reads n messages of a watch: lines of JSON, or events, which end
// with an empty line.
func messages(r *bufio.Reader, n int) (read []byte, err error) {
	for n > 0 {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return read, err
		}
		read = append(read, line...)
		if line[0] == '{' || line[0] == '\n' {
			n--
		}
	}
	return read, nil
}

// patternOf is the pattern of the route that a server would take.
func patternOf(t *testing.T, req *http.Request) string {
	parsed, err := url.ParseRequestURI(req.URL.Opaque)
	if err != nil {
		t.Fatal(err)
	}
	return httpapi.PatternOf(&http.Request{Method: req.Method, URL: parsed})
}

// show checks an answer and prints what the story wants to see of it.
func (s *story) show(
	t *testing.T, d *datadriven.TestData, req *http.Request, resp *http.Response, body []byte,
) string {
	s.doc.check(t, req.Method, patternOf(t, req), resp, body)
	hidden := []string{"Date", "X-Content-Type-Options", kvjson.Watch}
	if resp.Header.Get("Content-Type") == kvjson.ProblemType && !d.HasArg("whole") {
		hidden = append(hidden, "Content-Type", "Content-Length")
		body = condensed(t, resp, body)
	}
	if d.HasArg("tail") {
		var lines int
		d.ScanArgs(t, "tail", &lines)
		body = tail(body, lines)
	}
	if d.HasArg("no-body") {
		hidden, body = append(hidden, "Content-Length"), nil
	}
	return describe(resp, body, hidden)
}

// tail is the last n lines of body, and how many there are before.
func tail(body []byte, n int) []byte {
	lines := bytes.SplitAfter(bytes.TrimSuffix(body, []byte("\n")), []byte("\n"))
	head := fmt.Appendf(nil, "(%d lines)\n", len(lines)-n)
	return append(head, bytes.Join(lines[len(lines)-n:], nil)...)
}

// condensed checks what is the same in all problems and leaves the rest.
func condensed(t *testing.T, resp *http.Response, body []byte) []byte {
	if len(body) == 0 {
		return nil
	}
	var p kvjson.Problem
	if err := kvjson.Decode(body, &p); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if bytes.Contains(body, []byte(`\u003`)) {
		t.Fatalf("%s is for people, who know < and >", body)
	}
	if p.Status != resp.StatusCode || !strings.HasSuffix(p.Type, "#"+p.Code) || p.Title == "" {
		t.Fatalf("%s with the problem %+v", resp.Status, p)
	}
	text := p.Code + ": " + p.Detail
	if p.Uncertain {
		text += " (uncertain)"
	}
	return []byte(text)
}

func describe(resp *http.Response, body []byte, hidden []string) string {
	var out strings.Builder
	fmt.Fprintln(&out, resp.Status)
	for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
		if !slices.Contains(hidden, name) {
			fmt.Fprintf(&out, "%s: %s\n", name, strings.Join(resp.Header[name], ", "))
		}
	}
	switch {
	case len(body) == 0:
	case !utf8.Valid(body) || bytes.ContainsAny(body, "\x00\r"):
		fmt.Fprintf(&out, "> %q\n", body)
	default:
		for line := range strings.Lines(string(body)) {
			fmt.Fprintf(&out, "> %s\n", strings.TrimSuffix(line, "\n"))
		}
	}
	return out.String()
}

// faultyStore is a store that can be told to fail.
type faultyStore struct {
	kv.Store
	err     error
	waiting string
	// pages is how many more reads succeed before err.
	pages int
	// watch, if not nil, is all that watches tell; the zero one is nothing.
	watch *kv.WatchResponse
}

func (s *faultyStore) failWith(t *testing.T, code string, afterPage bool) {
	s.err, s.pages = nil, 0
	if afterPage {
		s.pages = 1
	}
	if code == "unknown" {
		s.err = fmt.Errorf("something nobody foresaw")
		return
	}
	for _, kind := range kvjson.Kinds() {
		if kind.Code == code {
			s.err = fmt.Errorf("%w: says the test", kind.Err)
		}
	}
	if s.err == nil && code != "none" {
		t.Fatalf("no code %q", code)
	}
}

func (s *faultyStore) Range(
	ctx context.Context, req kv.RangeRequest,
) (kv.RangeResponse, error) {
	if s.err != nil && s.pages == 0 {
		return kv.RangeResponse{}, s.err
	}
	s.pages = max(0, s.pages-1)
	return s.Store.Range(ctx, req)
}

func (s *faultyStore) Txn(ctx context.Context, req kv.TxnRequest) (kv.TxnResponse, error) {
	if s.err != nil {
		return kv.TxnResponse{}, s.err
	}
	return s.Store.Txn(ctx, req)
}

func (s *faultyStore) Watch(ctx context.Context) (kv.WatchStream, error) {
	if s.watch == nil {
		return s.Store.Watch(ctx)
	}
	return &toldStream{told: *s.watch}, nil
}

// toldStream tells what it was told to, and then that the node stops.
type toldStream struct {
	kv.WatchStream
	told kv.WatchResponse
}

func (s *toldStream) Add(kv.WatchRequest) (kv.WatchID, error) { return 1, nil }

func (s *toldStream) Next(context.Context) (kv.WatchResponse, error) {
	if s.told.ID == 0 {
		return kv.WatchResponse{}, kv.ErrStopped
	}
	return s.told, nil
}

func (s *toldStream) Close() {}

func (s *faultyStore) Status(ctx context.Context) (kv.Status, error) {
	status, err := s.Store.Status(ctx)
	status.Ready, status.Waiting = s.waiting == "", s.waiting
	return status, err
}

func load(t testing.TB, store kv.Store, keys int) {
	for i := range keys {
		put := kv.PutRequest{Key: fmt.Appendf(nil, "load/%04d", i), Value: []byte("v")}
		if _, err := kv.Put(t.Context(), store, put); err != nil {
			t.Fatal(err)
		}
	}
}
