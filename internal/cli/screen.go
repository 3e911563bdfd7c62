package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// quietMax is how long nothing is said to a log while only numbers change.
const quietMax = 10 * time.Second

// widthUnknown is assumed of a terminal that does not tell its width.
const widthUnknown = 80

// clearLine takes the cursor to the beginning of an empty line.
const clearLine = "\r\x1b[K"

// screen is an output with a line at its end that is kept up to date. Lines
// written to it appear above that line. Where no terminal shows it, the line is
// written anew when it matters. It is safe for concurrent use.
type screen struct {
	mu  sync.Mutex
	out io.Writer
	// width is that of the terminal, nil if out is none.
	width func() int
	line  string
	// state and numbers were shown last, at that time.
	state, numbers string
	at             time.Time
}

func newScreen(out io.Writer) *screen {
	s := &screen{out: out}
	if file, ok := out.(*os.File); ok && isTerminal(out) {
		s.width = func() int {
			width, _, err := term.GetSize(int(file.Fd()))
			if err != nil || width <= 0 {
				return widthUnknown
			}
			return width
		}
	}
	return s
}

// Write implements io.Writer. p must be whole lines.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.line == "" {
		return s.out.Write(p)
	}
	fmt.Fprint(s.out, clearLine)
	n, err := s.out.Write(p)
	fmt.Fprint(s.out, s.line)
	return n, err
}

// show makes the line state and numbers, the second of which may be empty.
func (s *screen) show(state, numbers string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := state
	if numbers != "" {
		text += "; " + numbers
	}
	if s.width == nil {
		due := numbers != s.numbers && time.Since(s.at) >= quietMax
		if state != s.state || due {
			fmt.Fprintln(s.out, "miruvor:", text)
			s.state, s.numbers, s.at = state, numbers, time.Now()
		}
		return
	}
	s.line = shortened(text, max(s.width()-1, 1))
	fmt.Fprint(s.out, clearLine, s.line)
}

// end leaves the line as it is and writes below it from now on.
func (s *screen) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.line != "" {
		s.line = ""
		fmt.Fprintln(s.out)
	}
}
