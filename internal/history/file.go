package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// line is a line of a file: one of its fields is set.
type line struct {
	// LeaseSlack is on the first line.
	LeaseSlack *int   `json:"lease_slack_percent,omitempty"`
	Call       *Call  `json:"call,omitempty"`
	Watch      *Watch `json:"watch,omitempty"`
	// Witness and Told go with Watch.
	Witness bool   `json:"witness,omitempty"`
	Told    []Told `json:"told,omitempty"`
}

// Write writes the history as lines of JSON, for Read and for other checkers.
// Times are nanoseconds since the beginning. Nothing may be recorded any more.
func (h *History) Write(to io.Writer) error {
	w := bufio.NewWriter(to)
	encoder := json.NewEncoder(w)
	if err := encoder.Encode(line{LeaseSlack: &h.LeaseSlack}); err != nil {
		return err
	}
	for _, calls := range [][]*Call{h.calls, h.compacts} {
		for _, c := range calls {
			if err := encoder.Encode(line{Call: c}); err != nil {
				return err
			}
		}
	}
	witness := map[*Watch]bool{}
	for _, w := range h.witnesses {
		witness[w] = true
	}
	for _, w := range h.watches {
		err := encoder.Encode(line{Watch: w, Witness: witness[w], Told: w.told})
		if err != nil {
			return err
		}
	}
	return w.Flush()
}

// Read reads what Write wrote.
func Read(from io.Reader) (*History, error) {
	h := New()
	decoder := json.NewDecoder(bufio.NewReader(from))
	for n := 1; ; n++ {
		var l line
		switch err := decoder.Decode(&l); {
		case errors.Is(err, io.EOF):
			if len(h.witnesses) == 0 {
				return nil, errors.New("the history has no witness")
			}
			return h, nil
		case err != nil:
			return nil, fmt.Errorf("line %d of the history: %w", n, err)
		case l.Call != nil:
			h.Record(l.Call)
		case l.LeaseSlack != nil:
			h.LeaseSlack = *l.LeaseSlack
		case l.Watch != nil:
			for _, t := range l.Told {
				l.Watch.Tell(t)
				h.Saw(t.Revision)
			}
			h.watches = append(h.watches, l.Watch)
			if l.Witness {
				h.witnesses = append(h.witnesses, l.Watch)
			}
		default:
			return nil, fmt.Errorf("line %d of the history holds nothing", n)
		}
	}
}
