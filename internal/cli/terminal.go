package cli

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// isTerminal tells whether a person sees what is written to w as it is.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// meter shows how far something long is, to people only.
type meter struct {
	// bar is nil if nobody watches.
	bar *progressbar.ProgressBar
}

// newMeter shows on w, if that is a terminal, how much of total is done. A
// total of -1 is unknown.
func newMeter(w io.Writer, what string, total int64) *meter {
	if !isTerminal(w) {
		return &meter{}
	}
	return &meter{progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetRenderBlankState(true),
	)}
}

// meterOfBytes is a meter whose total comes with the first report.
func meterOfBytes(w io.Writer) (report func(done, total int64), end func()) {
	var m *meter
	report = func(done, total int64) {
		if m == nil {
			m = newMeter(w, "bytes", total)
		}
		m.set(done)
	}
	return report, func() {
		if m != nil {
			m.end()
		}
	}
}

// set tells that done of the total are done.
func (m *meter) set(done int64) {
	if m.bar != nil {
		_ = m.bar.Set64(done) // a bar that cannot be drawn stops nothing
	}
}

// end takes the bar away.
func (m *meter) end() {
	if m.bar != nil {
		_ = m.bar.Finish()
	}
}
