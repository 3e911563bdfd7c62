package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/miruvor/miruvor/internal/httpapi"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

var update = flag.Bool("update", false, "write the golden texts of scripts anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"miruvor": func() { os.Exit(Main()) }})
}

// TestScripts runs testdata/*.txtar: the command as a process. Those called
// node_* run real nodes; the others find a server that keeps a fake store at
// $MIRUVOR_ENDPOINTS. $PORT1 to $PORT9 are free.
func TestScripts(t *testing.T) {
	pattern := "testdata/*.txtar"
	if testing.Short() {
		pattern = "testdata/client_*.txtar"
	}
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Files:               files,
		UpdateScripts:       *update,
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup:               setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits,
			"await": await,
			// kill knows SIGINT and SIGKILL only.
			"terminate": terminate,
			"watched":   watched,
			"answers":   answers,
			"alarm":     alarm,
			"flip":      flip,
			"unfinish":  unfinish,
		},
	})
}

func setup(env *testscript.Env) error {
	store := newToldStore()
	env.Values[toldKey{}] = store
	server := httptest.NewServer(httpapi.New(store, httpapi.Options{Maintainer: store}))
	env.Defer(func() {
		server.CloseClientConnections()
		server.Close()
	})
	env.Setenv("MIRUVOR_ENDPOINTS", strings.TrimPrefix(server.URL, "http://"))
	// The race detector would keep every process for a second at its end.
	env.Setenv("GORACE", "atexit_sleep_ms=0")
	for n := range 9 {
		port, err := freePort()
		if err != nil {
			return err
		}
		env.Setenv(fmt.Sprintf("PORT%d", n+1), port)
	}
	return nil
}

// toldStore closes watched when a watch is there.
type toldStore struct {
	*kvfake.Store
	once    sync.Once
	watched chan struct{}
}

func newToldStore() *toldStore {
	return &toldStore{Store: kvfake.New(), watched: make(chan struct{})}
}

// Watch implements kv.Store.
func (s *toldStore) Watch(ctx context.Context) (kv.WatchStream, error) {
	stream, err := s.Store.Watch(ctx)
	return &toldStream{stream, s}, err
}

type toldStream struct {
	kv.WatchStream
	store *toldStore
}

// Add implements kv.WatchStream. Only a watch that begins now counts, which
// the API says with the revision after the current one.
func (s *toldStream) Add(req kv.WatchRequest) (kv.WatchID, error) {
	id, err := s.WatchStream.Add(req)
	status, _ := s.store.Status(context.Background())
	if req.From > status.Revision {
		s.store.once.Do(func() { close(s.store.watched) })
	}
	return id, err
}

type toldKey struct{}

// watched waits until somebody watches what comes.
func watched(ts *testscript.TestScript, _ bool, _ []string) {
	select {
	case <-ts.Value(toldKey{}).(*toldStore).watched:
	case <-time.After(20 * time.Second):
		ts.Fatalf("nobody watches")
	}
}

// alarm raises one in the fake store: alarm 2 no_space.
func alarm(ts *testscript.TestScript, _ bool, args []string) {
	var a kv.Alarm
	_, err := fmt.Sscan(args[0], &a.Node)
	ts.Check(err)
	ts.Check(a.Kind.UnmarshalText([]byte(args[1])))
	_, err = ts.Value(toldKey{}).(*toldStore).RaiseAlarm(context.Background(), a)
	ts.Check(err)
}

// ports are what freePort has given out: the scripts run at once.
var ports struct {
	mu   sync.Mutex
	used map[int]bool
}

// freePort returns a port that nothing listens on and no other script has. It
// lies below those that systems give to outgoing connections, which would
// else take it, and below those of the tests of other packages.
func freePort() (string, error) {
	ports.mu.Lock()
	defer ports.mu.Unlock()
	if ports.used == nil {
		ports.used = make(map[int]bool)
	}
	for range 1000 {
		port := 10_000 + rand.IntN(4_000)
		if ports.used[port] {
			continue
		}
		ports.used[port] = true
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		return strconv.Itoa(port), listener.Close()
	}
	return "", errors.New("no free port")
}

// exits CODE COMMAND runs a command that exits with that code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("the exit code is %d, want %d", got, want)
	}
}

// terminate sends SIGTERM to the command that was started last.
func terminate(ts *testscript.TestScript, _ bool, _ []string) {
	running := ts.BackgroundCmds()
	ts.Check(running[len(running)-1].Process.Signal(syscall.SIGTERM))
}

// flip FILE OFFSET flips a bit of a file.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	offset, err := strconv.Atoi(args[1])
	ts.Check(err)
	data, err := os.ReadFile(path)
	ts.Check(err)
	data[offset] ^= 1
	ts.Check(os.WriteFile(path, data, 0o600))
}

// unfinish FILE turns the node.json of a restored directory into what a kill in
// the middle of the restore would have left.
func unfinish(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	half := strings.Replace(string(data), `"finished": true`, `"finished": false`, 1)
	half = regexp.MustCompile(`,\s*"sum": "\w*"`).ReplaceAllString(half, "") // as it once was
	ts.Check(os.WriteFile(path, []byte(half), 0o600))
}

// answers METHOD PATH BODY PATTERN asks the node at $MIRUVOR_ENDPOINTS over HTTP,
// which answers with what the pattern matches.
func answers(ts *testscript.TestScript, _ bool, args []string) {
	method, path, body, pattern := args[0], args[1], args[2], args[3]
	req, err := http.NewRequestWithContext(context.Background(), method,
		"http://"+ts.Getenv("MIRUVOR_ENDPOINTS")+path, strings.NewReader(body))
	ts.Check(err)
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	ts.Check(err)
	// Some builds put spaces in.
	if compact := (&bytes.Buffer{}); json.Compact(compact, text) == nil {
		text = compact.Bytes()
	}
	if !regexp.MustCompile(pattern).Match(text) {
		ts.Fatalf("%s %s answers %s\nwhich %s does not match", method, path, text, pattern)
	}
}

// await PORT waits until the node with this client port is ready; with a ! in
// front of it, until nothing listens there any more.
func await(ts *testscript.TestScript, neg bool, args []string) {
	address := "127.0.0.1:" + args[0]
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-ticker.C {
		resp, err := http.Get("http://" + address + "/readyz")
		if err == nil {
			resp.Body.Close()
		}
		if (err == nil && resp.StatusCode == http.StatusOK && !neg) || (err != nil && neg) {
			return
		}
	}
	ts.Fatalf("%s did not get there in time", address)
}
