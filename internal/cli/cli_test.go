package cli

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/miruvor/miruvor/internal/httpapi"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// inProcess runs a command here, and returns its exit code and its outputs.
func inProcess(ctx context.Context, args ...string) (code int, out, errs string) {
	var stdout, stderr strings.Builder
	code = run(ctx, args, strings.NewReader(""), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// hangs is a server that never answers.
func hangs(t *testing.T) (endpoint string, asked <-chan struct{}) {
	seen, release := make(chan struct{}, 100), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		seen <- struct{}{}
		<-release
	}))
	t.Cleanup(func() {
		close(release)
		server.Close()
	})
	return server.URL, seen
}

func TestAServerThatNeverAnswers(t *testing.T) {
	endpoint, _ := hangs(t)
	for command, want := range map[string]string{
		"get a":   "miruvor: request timed out: no answer from ",
		"put a b": "miruvor: outcome unknown, the write may or may not have happened: no answer",
		"scan":    "miruvor: nothing came for 50ms\n",
		"status":  "miruvor: request timed out: no answer from ",

		"watch":              "miruvor: the watch did not begin within 50ms\n",
		"lease keep-alive 1": "miruvor: request timed out: no answer from ",
		"compact 1":          "miruvor: outcome unknown, the write may or may not have happened",
	} {
		args := append(strings.Fields(command), "--timeout", "50ms", "--endpoints", endpoint)
		code, out, errs := inProcess(t.Context(), args...)
		if code != exitError || out != "" || !strings.HasPrefix(errs, want) {
			t.Errorf("%s: %d, %q, %q; want %q", command, code, out, errs, want)
		}
		if strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: not one line: %q", command, errs)
		}
	}
}

func TestASignalEndsWhatIsUnderWay(t *testing.T) {
	endpoint, asked := hangs(t)
	for _, command := range []string{"get a", "put a b", "scan", "status", "bench put"} {
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			<-asked
			cancel(errInterrupted)
		}()
		args := append(strings.Fields(command), "--endpoints", endpoint)
		code, out, errs := inProcess(ctx, args...)
		if code != exitInterrupted || out != "" || errs != "miruvor: interrupted\n" {
			t.Errorf("%s: %d, %q, %q", command, code, out, errs)
		}
	}
}

// interrupting interrupts the command at its first word.
type interrupting struct {
	strings.Builder
	interrupt context.CancelCauseFunc
}

func (w *interrupting) Write(p []byte) (int, error) {
	w.interrupt(errInterrupted)
	return w.Builder.Write(p)
}

// TestInterruptedAsMeant: what runs until Ctrl-C ends well with it.
func TestInterruptedAsMeant(t *testing.T) {
	store := kvfake.New()
	server := httptest.NewServer(httpapi.New(store, httpapi.Options{}))
	defer server.Close()
	if _, err := store.LeaseGrant(t.Context(), kv.LeaseGrantRequest{ID: 1, TTL: 9}); err != nil {
		t.Fatal(err)
	}
	put := kv.PutRequest{Key: []byte("a"), Value: []byte("b")}
	if _, err := kv.Put(t.Context(), store, put); err != nil {
		t.Fatal(err)
	}
	for command, want := range map[string]string{
		"watch --revision 1 -o json": `{"type":"put","key":"a","value":"b",` +
			`"create_revision":2,"mod_revision":2,"version":1}`,
		"lease keep-alive 1": "lease 1, 9 of 9 s left",
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		out, errs := &interrupting{interrupt: cancel}, &strings.Builder{}
		args := append(strings.Fields(command), "--endpoints", server.URL)
		code := run(ctx, args, strings.NewReader(""), out, errs)
		if code != exitOK || out.String() != want+"\n" || errs.String() != "" {
			t.Errorf("%s: %d, %q, %q", command, code, out, errs)
		}
	}
}
