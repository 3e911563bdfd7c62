package history

import (
	"iter"
	"sync"
	"sync/atomic"
	"time"
)

// Watch is a watch and all that it was told. Its range is as an Action's.
type Watch struct {
	Node int    `json:"node"`
	From string `json:"from"`
	To   string `json:"to"`
	// Start is the first revision, 0 for what comes after the first response.
	Start  int64         `json:"start"`
	PrevKV bool          `json:"prev_kv"`
	Begin  time.Duration `json:"begin"`

	// at is the last revision of an event told.
	at atomic.Int64

	mu   sync.Mutex
	told []Told
}

// Told is one response of a watch.
type Told struct {
	At time.Duration `json:"at"`
	// Revision is that up to which all was told with this response.
	Revision int64   `json:"revision"`
	Created  bool    `json:"created,omitempty"`
	Progress bool    `json:"progress,omitempty"`
	Events   []Event `json:"events,omitempty"`
	// Error ended the watch.
	Error string `json:"error,omitempty"`
}

// Event is a change of a key. Prev is the zero Pair if there was none or none was
// asked for.
type Event struct {
	Pair    `json:"pair"`
	Deleted bool `json:"deleted,omitempty"`
	Prev    Pair `json:"prev"`
}

// Tell adds what the watch was told.
func (w *Watch) Tell(t Told) {
	w.mu.Lock()
	w.told = append(w.told, t)
	w.mu.Unlock()
	if n := len(t.Events); n > 0 {
		w.at.Store(t.Events[n-1].Mod)
	}
}

// At is the last revision of an event that it was told.
func (w *Watch) At() int64 { return w.at.Load() }

// Told is all that it was told so far. It must not be modified.
func (w *Watch) Told() []Told {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.told
}

// Failure is what ended the watch, "" if it goes on.
func (w *Watch) Failure() string {
	if told := w.Told(); len(told) > 0 {
		return told[len(told)-1].Error
	}
	return ""
}

// events are all that it was told, each with the time.
func (w *Watch) events() iter.Seq2[*Event, time.Duration] {
	return func(yield func(*Event, time.Duration) bool) {
		for _, t := range w.Told() {
			for i := range t.Events {
				if !yield(&t.Events[i], t.At) {
					return
				}
			}
		}
	}
}
