package gateway

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gorilla/websocket"
)

// Sockets that are opened while others are closed are carried or refused, and the
// gateway ends.
func TestSocketsWhileClosing(t *testing.T) {
	s := newWebsockets(http.NotFoundHandler(), 1<<10)
	server := httptest.NewServer(s)
	defer server.Close()
	url := strings.Replace(server.URL, "http", "ws", 1)
	dial := func() int {
		conn, resp, err := websocket.DefaultDialer.Dial(url, nil)
		if err == nil {
			_ = conn.Close()
		}
		if resp == nil {
			return 0
		}
		return resp.StatusCode
	}
	var dialing sync.WaitGroup
	for range 8 {
		dialing.Go(func() {
			for dial() == http.StatusSwitchingProtocols {
			}
		})
	}
	s.close()
	dialing.Wait()
	if code := dial(); code != http.StatusServiceUnavailable {
		t.Errorf("a socket after the end is answered with %d", code)
	}
}
