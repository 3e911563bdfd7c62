package cli

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestOnATerminalTheLineStaysLast(t *testing.T) {
	var out strings.Builder
	s := &screen{out: &out, width: func() int { return 11 }}
	fmt.Fprintln(s, "before")
	s.show("1 of 3", "")
	fmt.Fprintln(s, "a log line")
	s.show("3 of 3", "revision 7")
	s.end()
	fmt.Fprintln(s, "after")
	want := "before\n" +
		"\r\x1b[K1 of 3" +
		"\r\x1b[Ka log line\n1 of 3" +
		"\r\x1b[K3 of 3; r…" +
		"\nafter\n"
	if got := out.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestInALogALineComesWhenItMatters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		s := newScreen(&out)
		for second := range 25 {
			state := "1 of 3"
			if second >= 3 {
				state = "3 of 3"
			}
			s.show(state, fmt.Sprintf("second %d", min(second, 15)))
			time.Sleep(time.Second)
		}
		s.end()
		want := "miruvor: 1 of 3; second 0\n" +
			"miruvor: 3 of 3; second 3\n" +
			"miruvor: 3 of 3; second 13\n" +
			"miruvor: 3 of 3; second 15\n"
		if got := out.String(); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}
