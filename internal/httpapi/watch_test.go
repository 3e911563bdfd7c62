package httpapi_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

const ndjson = "application/x-ndjson"

func put(t *testing.T, store kv.Store, key string, value []byte) {
	t.Helper()
	req := kv.PutRequest{Key: []byte(key), Value: value}
	if _, err := kv.Put(t.Context(), store, req); err != nil {
		t.Fatal(err)
	}
}

// TestSignsOfLife: a watch that has nothing to tell lives for as long as it is
// listened to, far beyond every timeout of the server.
func TestSignsOfLife(t *testing.T) {
	for accept, sign := range map[string]string{"": ":\n", ndjson: "{}\n"} {
		synctest.Test(t, func(t *testing.T) {
			fake, net := kvfake.New(), newPipes(t)
			net.serve("a:1", fake)
			body := bufio.NewReader(net.get("http://a:1/v1/watch?revision=2", "Accept", accept).Body)
			begin := time.Now()
			for i := range 20 {
				line := readLine(t, body)
				if line == "\n" {
					line = readLine(t, body)
				}
				due := time.Duration(i+1) * 15 * time.Second
				if after := time.Since(begin); line != sign || after != due {
					t.Fatalf("%q after %v", line, after)
				}
			}
			put(t, fake, "a", []byte("late"))
			for line := ""; !strings.Contains(line, "late"); line = readLine(t, body) {
			}
			if after := time.Since(begin); after != 300*time.Second {
				t.Errorf("told after %v", after)
			}
		})
	}
}

func readLine(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return line
}

// TestProgressOfQuietWatches: it is told once the watch has caught up, and
// after each silence, which a change ends.
func TestProgressOfQuietWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, net := kvfake.New(), newPipes(t)
		net.serve("a:1", fake)
		put(t, fake, "a", nil)
		resp := net.get("http://a:1/v1/watch?revision=1&key=a&progress=1m", "Accept", ndjson)
		body := bufio.NewReader(resp.Body)
		begin := time.Now()
		go func() {
			time.Sleep(90 * time.Second)
			put(t, fake, "elsewhere", nil)
			put(t, fake, "a", nil)
		}()
		var told []string
		for len(told) < 6 {
			line := strings.TrimSpace(readLine(t, body))
			if line == "{}" {
				continue
			}
			line, _, _ = strings.Cut(line, `,"events"`)
			told = append(told, fmt.Sprint(time.Since(begin), " ", line))
		}
		want := []string{
			`0s {"revision":2`, `0s {"revision":2}`, `1m0s {"revision":2}`,
			`1m30s {"revision":4`, `2m30s {"revision":4}`, `3m30s {"revision":4}`,
		}
		if got := strings.Join(told, "\n"); got != strings.Join(want, "\n") {
			t.Errorf("told\n%s\nwant\n%s", got, strings.Join(want, "\n"))
		}
	})
}

// TestShutdownEndsWatches: at once, and the client is told why.
func TestShutdownEndsWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newPipes(t)
		server, registry := net.serve("a:1", kvfake.New())
		resp := net.get("http://a:1/v1/watch", "Accept", ndjson)
		text := make(chan string)
		go func() {
			all, err := io.ReadAll(resp.Body)
			text <- fmt.Sprint(string(all), err)
		}()
		synctest.Wait()
		if open := metric(t, registry, "miruvor_http_watches"); open != 1 {
			t.Errorf("%v watches are open, want 1", open)
		}
		begin := time.Now()
		if err := server.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		got := <-text
		if !strings.HasPrefix(got, `{"revision":1}`+"\n"+`{"error":{`) ||
			!strings.HasSuffix(got, `"code":"stopped"}}`+"\n<nil>") {
			t.Errorf("the watch ended with %s", got)
		}
		if took := time.Since(begin); took > time.Second {
			t.Errorf("after %v", took)
		}
		synctest.Wait()
		if open := metric(t, registry, "miruvor_http_watches"); open != 0 {
			t.Errorf("%v watches are open, want 0", open)
		}
	})
}

// TestDeafClient: who takes nothing for too long is cut off, and holds nothing
// after that.
func TestDeafClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, net := kvfake.New(), newPipes(t)
		_, registry := net.serve("a:1", fake)
		resp := net.get("http://a:1/v1/watch?revision=1")
		// One of these does not fit into what a client buffers unread.
		put(t, fake, "a", make([]byte, 1<<20))
		time.Sleep(29 * time.Second)
		if open := metric(t, registry, "miruvor_http_watches"); open != 1 {
			t.Errorf("%v watches are open after 29 s, want 1", open)
		}
		time.Sleep(2 * time.Second)
		if open := metric(t, registry, "miruvor_http_watches"); open != 0 {
			t.Errorf("%v watches are open after 31 s, want 0", open)
		}
		if _, err := io.ReadAll(resp.Body); err == nil {
			t.Error("the answer ends as if it was whole")
		}
	})
}

// TestClientLeaves: nothing is left of its watch.
func TestClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newPipes(t)
		_, registry := net.serve("a:1", kvfake.New())
		resp := net.get("http://a:1/v1/watch")
		name := resp.Header.Get("Miruvor-Watch")
		if got := ask(t, net, name); got != http.StatusAccepted {
			t.Errorf("progress of an open watch: %d", got)
		}
		resp.Body.Close()
		synctest.Wait()
		if open := metric(t, registry, "miruvor_http_watches"); open != 0 {
			t.Errorf("%v watches are open, want 0", open)
		}
		if got := ask(t, net, name); got != http.StatusNotFound {
			t.Errorf("progress of a closed watch: %d", got)
		}
	})
}

func ask(t *testing.T, net *pipes, name string) int {
	url := "http://a:1/v1/watch/" + name + "/progress"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := net.transport().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// TestWatchMetrics: events are counted, and a long watch is no slow request.
func TestWatchMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, net := kvfake.New(), newPipes(t)
		_, registry := net.serve("a:1", fake)
		load(t, fake, 7)
		resp := net.get("http://a:1/v1/watch?revision=1", "Accept", ndjson)
		body := bufio.NewReader(resp.Body)
		for range 7 {
			readLine(t, body)
		}
		if told := metric(t, registry, "miruvor_http_watch_events_total"); told != 7 {
			t.Errorf("%v events were told, want 7", told)
		}
		readLine(t, body) // a sign of life
		resp.Body.Close()
		synctest.Wait()
		if took := metric(t, registry, "miruvor_http_request_duration_seconds"); took != 0 {
			t.Errorf("the watch took %v s until its header", took)
		}
	})
}

// metric is the value of a metric without labels, of a histogram its sum.
func metric(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			m := family.GetMetric()[0]
			return m.GetGauge().GetValue() + m.GetCounter().GetValue() +
				m.GetHistogram().GetSampleSum()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
