package mvcc

import (
	"bytes"

	"github.com/miruvor/miruvor/internal/kv"
)

// Reading is a range that is read in parts, so that whoever reads a long one
// can do something else in between. All parts show the same revision; that
// nothing at or below it changes meanwhile is for the caller to see to.
type Reading struct {
	view   View
	page   page
	at     kv.Revision
	budget budget
	// rest is what was not looked at yet.
	rest kv.Range
}

// NewReading begins to read req in v, which has no overlay. It returns what
// View.Range does.
func NewReading(v View, req kv.RangeRequest) (*Reading, error) {
	at, err := v.revision(req.Revision)
	if err != nil {
		return nil, err
	}
	r := &Reading{view: v, at: at, rest: req.Range, budget: budget{most: v.BytesMax}}
	r.page = page{req: &req, budget: &r.budget}
	return r, nil
}

// Next looks at keysMax more keys at most, and reports whether that was all. It
// returns what View.Range does.
func (r *Reading) Next(keysMax int) (done bool, err error) {
	s := getScratch()
	defer s.release()
	l := layers{
		reader: r.view.Reader, recent: r.view.Recent, at: r.at, scratch: s, budget: &r.budget,
	}
	if r.page.req.IsPoint() {
		return true, r.page.fill(&l)
	}
	seen := 0
	for v, err := range l.scan(r.rest, r.page.req.Reverse) {
		if err != nil {
			return false, err
		}
		if !r.page.add(v) {
			break
		}
		if seen++; seen == keysMax {
			r.pass(v.key)
			return false, nil
		}
	}
	return true, r.page.err
}

// pass leaves a key, and those before it, behind.
func (r *Reading) pass(key []byte) {
	if r.page.req.Reverse {
		r.rest.End = bytes.Clone(key)
		return
	}
	r.rest.Start = append(bytes.Clone(key), 0)
}

// Response is what was read, complete once Next was done. Its Revision is as
// View.Range says.
func (r *Reading) Response() kv.RangeResponse {
	r.page.response.Revision = r.view.At
	if r.page.req.Revision != 0 {
		r.page.response.Revision = r.view.Current
	}
	return r.page.response
}
