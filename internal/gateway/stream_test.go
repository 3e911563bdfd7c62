package gateway_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/miruvor/miruvor/internal/kv"
)

// open sends a request and returns the lines of its answer as they come.
func (s *stage) open(t *testing.T, path string, body io.Reader) *bufio.Reader {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != "application/json" {
		t.Fatalf("%s, %s", resp.Status, got)
	}
	return bufio.NewReader(resp.Body)
}

func line(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	text, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(plain(text), "\n")
}

func expect(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("told %s\nwant %s", got, want)
	}
}

const header = `"header":{"cluster_id":"1","member_id":"1","revision":"`

// TestWatch is what Patroni and APISIX do: one line for each answer, for much
// longer than another request may take, with word of progress in between.
func TestWatch(t *testing.T) {
	s := newStage(t)
	if _, err := kv.Put(t.Context(), s.store, kv.PutRequest{Key: []byte("other")}); err != nil {
		t.Fatal(err)
	}
	lines := s.open(t, "/v3/watch", strings.NewReader(
		`{"create_request":{"key":"L3NlcnZpY2UvYmF0bWFuLw==",`+
			`"range_end":"L3NlcnZpY2UvYmF0bWFuMA==","start_revision":"2","progress_notify":true}}`))
	expect(t, line(t, lines), `{"result":{`+header+`2","raft_term":"1"},"created":true}}`)

	// Longer than the server waits for a request or an answer.
	for begin := time.Now(); time.Since(begin) < 400*time.Millisecond; {
		expect(t, line(t, lines), `{"result":{`+header+`2","raft_term":"1"}}}`)
	}
	key := []byte("/service/batman/leader")
	if _, err := kv.Put(t.Context(), s.store,
		kv.PutRequest{Key: key, Value: []byte("me")}); err != nil {
		t.Fatal(err)
	}
	got := line(t, lines)
	for !strings.Contains(got, "events") {
		got = line(t, lines)
	}
	expect(t, got, `{"result":{`+header+`3","raft_term":"1"},"events":[{"kv":{`+
		`"key":"L3NlcnZpY2UvYmF0bWFuL2xlYWRlcg==","create_revision":"3","mod_revision":"3",`+
		`"version":"1","value":"bWU="}}]}}`)
}

// TestWatchOfThePast: a watch that begins too early is told so in its stream.
func TestWatchOfThePast(t *testing.T) {
	s := newStage(t)
	for range 3 {
		if _, err := kv.Put(t.Context(), s.store, kv.PutRequest{Key: []byte("a")}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.store.Compact(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	lines := s.open(t, "/v3/watch",
		strings.NewReader(`{"createRequest":{"key":"YQ==","startRevision":"2"}}`))
	expect(t, line(t, lines), `{"result":{`+header+`4","raft_term":"1"},"created":true}}`)
	expect(t, line(t, lines), `{"result":{"header":{"cluster_id":"1","member_id":"1",`+
		`"raft_term":"1"},"canceled":true,"compact_revision":"4"}}`)
}

// TestKeepAlive is a stream in both directions: an answer comes before the request
// has ended.
func TestKeepAlive(t *testing.T) {
	s := newStage(t)
	if _, err := s.store.LeaseGrant(t.Context(), kv.LeaseGrantRequest{ID: 7, TTL: 60}); err != nil {
		t.Fatal(err)
	}
	body, requests := io.Pipe()
	defer requests.Close()
	go func() { _, _ = io.WriteString(requests, `{"ID":"7"}`+"\n") }()
	lines := s.open(t, "/v3/lease/keepalive", body)
	// Longer than the server waits for a request or an answer.
	for begin := time.Now(); time.Since(begin) < 400*time.Millisecond; {
		expect(t, line(t, lines),
			`{"result":{`+header+`1","raft_term":"1"},"ID":"7","TTL":"60"}}`)
		if _, err := io.WriteString(requests, `{"ID":"7"}`+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	line(t, lines)
	go func() { _, _ = io.WriteString(requests, `{"ID":8}`+"\n") }()
	expect(t, line(t, lines), `{"result":{`+header+`1","raft_term":"1"},"ID":"8"}}`)
}

// TestMessagesAreBounded: a message that is too long is refused, however many
// were read before it, and short ones may be many.
func TestMessagesAreBounded(t *testing.T) {
	s := newStage(t)
	long := `{"key":"` + strings.Repeat("A", 2<<20) + `"}`
	got := s.ask(t, http.MethodPost, "/v3/kv/range", strings.NewReader(long))
	if !strings.HasPrefix(got, "400") ||
		!strings.Contains(got, "etcdserver: request is too large") {
		t.Errorf("told %.300s", got)
	}
	if _, err := s.store.LeaseGrant(t.Context(), kv.LeaseGrantRequest{ID: 7, TTL: 60}); err != nil {
		t.Fatal(err)
	}
	const asked = 300
	request := `{"ID":"7"` + strings.Repeat(" ", 8<<10) + "}\n"
	lines := s.open(t, "/v3/lease/keepalive", strings.NewReader(strings.Repeat(request, asked)))
	for range asked {
		line(t, lines)
	}
}

// dial opens a websocket.
func (s *stage) dial(t *testing.T, path string) *websocket.Conn {
	t.Helper()
	conn, resp, err := websocket.DefaultDialer.DialContext(t.Context(),
		strings.Replace(s.url, "http:", "ws:", 1)+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = resp.Body.Close()
		_ = conn.Close()
	})
	return conn
}

func say(t *testing.T, conn *websocket.Conn, text string) {
	t.Helper()
	if err := conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, conn *websocket.Conn) string {
	t.Helper()
	_, text, err := conn.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	return plain(string(text))
}

// TestWebsocket: each message is a line of the request or of the answer, and the
// stream lives as long as the connection.
func TestWebsocket(t *testing.T) {
	s := newStage(t)
	conn := s.dial(t, "/v3/watch")
	say(t, conn, `{"create_request":{"key":"YQ=="}}`)
	expect(t, hear(t, conn), `{"result":{`+header+`1","raft_term":"1"},"created":true}}`)
	say(t, conn, "{\"create_request\":\n{\"key\":\"Yg==\"}}")
	expect(t, hear(t, conn),
		`{"result":{`+header+`1","raft_term":"1"},"watch_id":"1","created":true}}`)
	if _, err := kv.Put(t.Context(), s.store, kv.PutRequest{Key: []byte("b")}); err != nil {
		t.Fatal(err)
	}
	expect(t, hear(t, conn), `{"result":{`+header+`2","raft_term":"1"},"watch_id":"1",`+
		`"events":[{"kv":{"key":"Yg==","create_revision":"2","mod_revision":"2","version":"1"}}]}}`)
}

// TestWebsocketCloses: a client that says goodbye is let go, and told no more.
func TestWebsocketCloses(t *testing.T) {
	s := newStage(t)
	conn := s.dial(t, "/v3/watch")
	say(t, conn, `{"create_request":{"key":"YQ=="}}`)
	hear(t, conn)
	if err := conn.WriteControl(websocket.CloseMessage,
		websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Time{}); err != nil {
		t.Fatal(err)
	}
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			return
		}
	}
}

// TestWebsocketIsBounded: a message that is too long ends the connection.
func TestWebsocketIsBounded(t *testing.T) {
	s := newStage(t)
	conn := s.dial(t, "/v3/watch")
	go func() {
		_ = conn.WriteMessage(websocket.TextMessage, make([]byte, 4<<20))
	}()
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			return
		}
	}
}

// TestWebsocketsOfOtherPages: a browser's page of another host may not connect.
func TestWebsocketsOfOtherPages(t *testing.T) {
	s := newStage(t)
	_, resp, err := websocket.DefaultDialer.DialContext(t.Context(),
		strings.Replace(s.url, "http:", "ws:", 1)+"/v3/watch",
		http.Header{"Origin": {"http://elsewhere.example"}})
	if err == nil || resp.StatusCode != http.StatusForbidden {
		t.Fatalf("connected: %v", err)
	}
	_ = resp.Body.Close()
}
