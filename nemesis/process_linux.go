package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/netlab"
)

// process is a node: its host, its directory, and while it runs its process.
type process struct {
	name string
	host *netlab.Host
	dir  string
	args []string
	log  *os.File
	seed uint64
	// mutant is a deliberate bug that it has.
	mutant mutant.Mutant
	// ended is told of every end that nobody caused.
	ended func(p *process, err error)

	mu    sync.Mutex
	cmd   *exec.Cmd
	stdin io.WriteCloser
	replies
	// gone is closed when the process has ended. excuses are why it is allowed to.
	gone    chan struct{}
	excuses int
}

// replies are what a node was told and what it has answered.
type replies struct {
	// failed counts the operations of files that faults made fail, as far as the
	// node has told.
	failed atomic.Int64
	// told and heard are the numbers of the last command and of the last reply.
	told, heard atomic.Int64
}

// start starts the process, with a clock that is that many seconds ahead.
func (p *process) start(epoch int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		return nil
	}
	cmd := exec.Command("/proc/self/exe", p.args...)
	p.seed++
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", nodeVariable, p.seed),
		fmt.Sprintf("%s=%d", mutantVariable, p.mutant))
	if epoch != 0 {
		cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%d", epochVariable, epoch))
	}
	cmd.Stdout, cmd.Stderr = p.log, p.log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	replies, replyTo, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.ExtraFiles = []*os.File{replyTo}       // replyFile
	said, err := p.log.Seek(0, io.SeekCurrent) // which the process shares
	if err != nil {
		return err
	}
	err = p.host.Start(cmd)
	_ = replyTo.Close()
	if err != nil {
		return errors.Join(fmt.Errorf("starting %s: %w", p.name, err), replies.Close())
	}
	go p.hear(replies)
	gone := make(chan struct{})
	p.cmd, p.stdin, p.gone = cmd, stdin, gone
	go p.wait(cmd, gone, said)
	return nil
}

// hear takes the replies of a process until it ends.
func (p *process) hear(replies *os.File) {
	defer func() { _ = replies.Close() }()
	decoder := json.NewDecoder(replies)
	for {
		var r reply
		if decoder.Decode(&r) != nil {
			return
		}
		p.failed.Add(r.Failed)
		p.heard.Store(r.Number)
	}
}

// wait is the goroutine that a process ends with, which has said what lies behind an
// offset of its log.
func (p *process) wait(cmd *exec.Cmd, gone chan struct{}, said int64) {
	err := cmd.Wait()
	p.mu.Lock()
	unexpected := p.excuses == 0
	p.cmd = nil
	p.mu.Unlock()
	if unexpected {
		p.ended(p, fmt.Errorf("%w: %s", err, lastWords(p.log, said)))
	}
	close(gone)
}

// lastWordsMax is how much of a log is looked through.
const lastWordsMax = 256 << 10

// lastWords is why a process has ended, as far as its log tells from an offset on:
// what it panicked of, or its last line.
func lastWords(log io.ReaderAt, from int64) string {
	last := ""
	lines := bufio.NewScanner(io.NewSectionReader(log, from, lastWordsMax))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return line
		}
		if line != "" {
			last = line
		}
	}
	return last
}

// excuse lets the process end by itself until it is called with false.
func (p *process) excuse(mayEnd bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if mayEnd {
		p.excuses++
	} else {
		p.excuses--
	}
}

// end sends a signal that ends the process, and waits until it has.
func (p *process) end(s syscall.Signal) {
	p.mu.Lock()
	cmd, gone := p.cmd, p.gone
	if cmd == nil {
		p.mu.Unlock()
		return
	}
	p.excuses++
	_ = cmd.Process.Signal(s)
	p.mu.Unlock()
	<-gone
	p.excuse(false)
}

// signal sends a signal to the process, if it runs.
func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(s)
	}
}

func (p *process) running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd != nil
}

// tell gives the node a command. One that does not run needs none.
func (p *process) tell(c command) error {
	c.Number = p.told.Add(1)
	line, err := json.Marshal(c)
	if err != nil {
		return err
	}
	p.mu.Lock()
	stdin := p.stdin
	p.mu.Unlock()
	if stdin != nil {
		_, _ = stdin.Write(append(line, '\n'))
	}
	return nil
}

// newLog is the file of all that a node says.
func newLog(dir, name string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return os.Create(filepath.Join(dir, name+".log"))
}
