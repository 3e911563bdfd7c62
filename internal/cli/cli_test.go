package cli

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
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
