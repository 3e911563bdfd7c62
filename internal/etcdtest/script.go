package etcdtest

import (
	"fmt"
	"strings"
)

// Script is a list of requests with the answers that etcd gave.
type Script struct {
	Name  string
	Steps []Step
	// tail is the comment after the last step.
	tail string
}

// Step is one request and its answer.
type Step struct {
	// Line is where the request begins in its file, from 1.
	Line int
	// Above is what stands before it, comments and empty lines.
	Above string
	// Request may have several lines; its last has no line break.
	Request string
	// Answer has a line break after every line.
	Answer string
}

const separator = "----"

// Parse reads a script. Answers may be missing, and so may their separators.
func Parse(name, text string) (*Script, error) {
	s := &Script{Name: name}
	p := parser{lines: strings.SplitAfter(text, "\n")}
	for {
		above := p.above()
		if p.done() {
			s.tail = above
			return s, nil
		}
		step := Step{Line: p.at + 1, Above: above}
		step.Request = strings.TrimRight(p.until(separator), "\n")
		if p.take(separator) {
			step.Answer = p.until("")
		}
		if step.Request == "" {
			return nil, fmt.Errorf("%s:%d: an answer without a request", name, step.Line)
		}
		s.Steps = append(s.Steps, step)
	}
}

// String is the script as it is stored.
func (s *Script) String() string {
	var out strings.Builder
	for i := range s.Steps {
		step := &s.Steps[i]
		out.WriteString(step.Above)
		out.WriteString(step.Request + "\n" + separator + "\n" + step.Answer)
	}
	out.WriteString(s.tail)
	return out.String()
}

// Fresh reports whether the script needs a server that nobody used before.
func (s *Script) Fresh() bool { return len(s.Steps) > 0 && s.Steps[0].Request == verbFresh }

// add appends a step as a generator makes it.
func (s *Script) add(request, answer string) {
	above := "\n"
	if request == verbBegin && len(s.Steps) == 0 {
		above = ""
	}
	s.Steps = append(s.Steps, Step{Above: above, Request: request, Answer: answer})
}

type parser struct {
	lines []string
	at    int
}

func (p *parser) line() string { return strings.TrimRight(p.lines[p.at], "\n") }

func (p *parser) done() bool {
	return p.at >= len(p.lines) || p.at == len(p.lines)-1 && p.lines[p.at] == ""
}

// above takes comments and empty lines.
func (p *parser) above() string {
	from := p.at
	for !p.done() && (p.line() == "" || strings.HasPrefix(p.line(), "#")) {
		p.at++
	}
	return strings.Join(p.lines[from:p.at], "")
}

// until takes the lines before end, or before an empty one.
func (p *parser) until(end string) string {
	from := p.at
	for !p.done() && p.line() != end && p.line() != "" {
		p.at++
	}
	return strings.Join(p.lines[from:p.at], "")
}

func (p *parser) take(line string) bool {
	if p.done() || p.line() != line {
		return false
	}
	p.at++
	return true
}
