package etcd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// ctl runs etcdctl on a cluster.
type ctl struct {
	endpoints []string
	dir       string // its working directory
	// lease and id are the last that it was told of; $lease and $id in a
	// command stand for them.
	lease, id string
	running   map[string]*background
}

// background is an etcdctl that goes on.
type background struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout output
	stderr output
}

// output is what a running program printed and nobody read yet.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// lines takes so many lines if they are there.
func (o *output) lines(n int) (string, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	text := o.text.String()
	end := 0
	for range n {
		i := strings.IndexByte(text[end:], '\n')
		if i < 0 {
			return text, false
		}
		end += i + 1
	}
	return string(o.text.Next(end)), true
}

// rest takes everything.
func (o *output) rest() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text.Next(o.text.Len()))
}

// command is an etcdctl with the words of a line.
func (c *ctl) command(ctx context.Context, line string) (*exec.Cmd, []string) {
	line = strings.NewReplacer("$lease", c.lease, "$id", c.id, "$first", c.endpoints[0],
		"$all", strings.Join(c.endpoints, ",")).Replace(line)
	args := words(line)
	if !strings.Contains(line, "--endpoints") {
		args = append([]string{"--endpoints", strings.Join(c.endpoints, ",")}, args...)
	}
	cmd := exec.CommandContext(ctx, programs.etcdctl, args...)
	cmd.Dir = c.dir
	return cmd, args
}

// run runs a command to its end and returns what it printed, as a story has it.
func (c *ctl) run(t *testing.T, line, stdin string) string {
	t.Helper()
	cmd, args := c.command(testContext(t), line)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	out := stdout.String()
	c.learn(out)
	if text, ok := decode(args, stdout.Bytes()); ok {
		out = text
	}
	return normal(out + told(stderr.String()) + status(err))
}

var (
	grantedLease = regexp.MustCompile(`lease ([0-9a-f]+) granted`)
	followerID   = regexp.MustCompile(`(?m)^http[^,]*, ([0-9a-f]+), .*, false, false, \d+, \d+`)
)

// learn notes what later commands need.
func (c *ctl) learn(out string) {
	if m := grantedLease.FindStringSubmatch(out); m != nil {
		c.lease = m[1]
	}
	if m := followerID.FindStringSubmatch(out); m != nil {
		c.id = m[1]
	}
}

// start starts a command that goes on.
func (c *ctl) start(t *testing.T, name, line string) {
	t.Helper()
	b := &background{}
	b.cmd, _ = c.command(testContext(t), line)
	b.cmd.Stdout, b.cmd.Stderr = &b.stdout, &b.stderr
	stdin, err := b.cmd.StdinPipe()
	if err == nil {
		err = b.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	b.stdin = stdin
	if c.running == nil {
		c.running = map[string]*background{}
	}
	c.running[name] = b
}

// read waits for so many lines of a running command.
func (c *ctl) read(t *testing.T, name string, n int) string {
	t.Helper()
	b := c.running[name]
	ctx, cancel := context.WithTimeout(testContext(t), 5*time.Second)
	defer cancel()
	var text string
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for ok := false; !ok; {
		select {
		case <-ctx.Done():
			return normal(text) + "(no more came)\n"
		case <-ticker.C:
			text, ok = b.stdout.lines(n)
		}
	}
	return normal(text)
}

// write types into a running command.
func (c *ctl) write(t *testing.T, name, text string) {
	t.Helper()
	if _, err := io.WriteString(c.running[name].stdin, text); err != nil {
		t.Fatal(err)
	}
}

// end interrupts a running command, as Ctrl-C does, and returns what it still
// printed.
func (c *ctl) end(t *testing.T, name string) string {
	t.Helper()
	b := c.running[name]
	delete(c.running, name)
	if err := b.cmd.Process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Log(err)
	}
	_ = b.cmd.Wait()
	return normal(b.stdout.rest() + told(b.stderr.rest()))
}

// status is told of a command that failed.
func status(err error) string {
	if err == nil {
		return ""
	}
	return err.Error() + "\n"
}

// told is what etcdctl told its user of an error, without its client's log and
// bars of progress.
func told(stderr string) string {
	var kept strings.Builder
	for line := range strings.Lines(stderr) {
		if !strings.HasPrefix(line, "{") && !strings.Contains(line, " p/s") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// words splits a line as a shell does; quotes keep words together.
func words(line string) []string {
	var all []string
	var word strings.Builder
	var quote rune
	inWord := false
	for _, r := range line {
		switch {
		case r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, inWord = r, true
		case quote == 0 && r == ' ':
			if inWord {
				all = append(all, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if inWord {
		all = append(all, word.String())
	}
	return all
}
