package mvcc

import (
	"bytes"
	"errors"
	"iter"

	"github.com/miruvor/miruvor/internal/kv"
)

// cursor walks the keys of a range in one layer, in one direction.
type cursor interface {
	// next moves to the next key; false at the end and after a failure.
	next() bool
	// version is that of the key the cursor is at, deletions included. Its
	// slices are valid until next is called.
	version() version
	err() error
	close() error
}

// scan yields the live keys of r with their versions, in ascending order, or
// descending if reverse. The slices die at the next step. After an error
// nothing follows.
func (l *layers) scan(r kv.Range, reverse bool) iter.Seq2[version, error] {
	return func(yield func(version, error) bool) {
		if r.Empty() {
			return
		}
		m := merger{reverse: reverse}
		err := m.open(l, r)
		if err == nil {
			err = m.run(yield)
		}
		if err = errors.Join(err, m.close()); err != nil && !errors.Is(err, errStopped) {
			yield(version{}, err)
		}
	}
}

// errStopped tells that the consumer of a scan wants no more.
var errStopped = errors.New("mvcc: stopped")

// merger merges the cursors of several layers into one.
type merger struct {
	// heads are those of the layers, from top to bottom, that have a key
	// left.
	heads   []head
	reverse bool
}

type head struct {
	cursor
	v    version
	live bool
}

// open stands at the first key of every layer.
func (m *merger) open(l *layers, r kv.Range) error {
	if l.own != nil && len(l.own.writes) > 0 {
		m.heads = append(m.heads, head{cursor: newOwnCursor(l.own, r, m.reverse)})
	}
	if l.overlay != nil && l.overlay.Len() > 0 {
		m.heads = append(m.heads, head{cursor: newOverlayCursor(l.overlay, l.at, r, m.reverse)})
	}
	stored, err := newEngineCursor(l.reader, l.at, r, m.reverse)
	if err != nil {
		return err
	}
	m.heads = append(m.heads, head{cursor: stored})
	for i := range m.heads {
		if err := m.heads[i].step(); err != nil {
			return err
		}
	}
	return nil
}

func (m *merger) run(yield func(version, error) bool) error {
	for {
		top := m.top()
		if top == nil {
			return nil
		}
		if !top.v.Tombstone && !yield(top.v, nil) {
			return errStopped
		}
		if err := m.pass(top); err != nil {
			return err
		}
	}
}

// top is the head with the next key; among equal keys the upper layer's. It
// is nil at the end.
func (m *merger) top() *head {
	var top *head
	for i := range m.heads {
		h := &m.heads[i]
		if h.live && (top == nil || m.before(h, top)) {
			top = h
		}
	}
	return top
}

func (m *merger) before(a, b *head) bool {
	if m.reverse {
		a, b = b, a
	}
	return bytes.Compare(a.v.key, b.v.key) < 0
}

// pass moves every head past the key of top. Top itself moves last, because
// its key dies then.
func (m *merger) pass(top *head) error {
	for i := range m.heads {
		h := &m.heads[i]
		if h != top && h.live && bytes.Equal(h.v.key, top.v.key) {
			if err := h.step(); err != nil {
				return err
			}
		}
	}
	return top.step()
}

func (h *head) step() error {
	if h.live = h.next(); h.live {
		h.v = h.version()
		return nil
	}
	return h.err()
}

func (m *merger) close() error {
	var err error
	for i := range m.heads {
		err = errors.Join(err, m.heads[i].close())
	}
	return err
}
