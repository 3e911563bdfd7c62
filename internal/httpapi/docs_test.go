package httpapi_test

import (
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/httpapi"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
	"github.com/miruvor/miruvor/internal/kvjson"
)

const docs = "../../docs/http-api.md"

// TestDocsExamples runs the curl commands of the documentation and compares
// what they print.
func TestDocsExamples(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl")
	}
	server := httptest.NewUnstartedServer(nil)
	// Leases do not age, and a watch notices soon that nobody reads any more.
	fake := kvfake.New(kvfake.WithClock(func() time.Time { return time.Unix(0, 0) }))
	handler := httpapi.New(fake, httpapi.Options{
		WatchHeartbeat: 20 * time.Millisecond, Maintainer: fake,
	})
	server.Config = httpapi.NewServer(handler, slog.New(slog.DiscardHandler))
	server.Start()
	defer server.Close()
	examples := examplesIn(t)
	if len(examples) < 20 {
		t.Fatalf("only %d examples", len(examples))
	}
	for _, e := range examples {
		quiet := "curl -sS "
		if strings.Contains(e.command, "| head") {
			quiet = "curl -s " // it complains when it is cut off
		}
		command := strings.ReplaceAll(e.command, "curl ", quiet)
		command = strings.ReplaceAll(command, "localhost:2379", server.Listener.Addr().String())
		out, err := exec.CommandContext(t.Context(), "sh", "-c", command).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", e.command, err, out)
		}
		if got := tidied(string(out)); got != e.output {
			t.Fatalf("%s\nprints\n%s\nnot\n%s", e.command, got, e.output)
		}
	}
}

// example is a command and what it prints.
type example struct{ command, output string }

var (
	consoleBlock = regexp.MustCompile("(?ms)^```console\n(.*?)^```")
	dateHeader   = regexp.MustCompile(`(?m)^Date: .*\n`)
)

// examplesIn takes the documentation's console blocks apart. A command whose
// quotes are open goes on in the next line.
func examplesIn(t *testing.T) []example {
	text, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	var examples []example
	for _, block := range consoleBlock.FindAllStringSubmatch(string(text), -1) {
		for part := range strings.SplitSeq("\n"+block[1], "\n$ ") {
			if strings.TrimSpace(part) == "" {
				continue
			}
			lines := strings.SplitAfter(part, "\n")
			n := 1
			for strings.Count(strings.Join(lines[:n], ""), "'")%2 == 1 {
				n++
			}
			examples = append(examples, example{
				command: strings.Join(lines[:n], ""),
				output:  tidied(strings.Join(lines[n:], "")),
			})
		}
	}
	return examples
}

// tidied drops what differs from run to run, and white space at the ends.
func tidied(output string) string {
	output = strings.ReplaceAll(output, "\r\n", "\n")
	return strings.TrimSpace(dateHeader.ReplaceAllString(output, ""))
}

// TestDocsCodes: the address that a problem gives for its code is there.
func TestDocsCodes(t *testing.T) {
	text, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range kvjson.Kinds() {
		if !strings.Contains(string(text), "\n### "+kind.Code+"\n") {
			t.Errorf("the code %s is not explained", kind.Code)
		}
		if _, anchor, _ := strings.Cut(kind.New("").Type, "#"); anchor != kind.Code {
			t.Errorf("the type of %s leads to %s", kind.Code, anchor)
		}
	}
}
