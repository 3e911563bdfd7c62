package engine

import (
	"bytes"

	"github.com/miruvor/miruvor/internal/kv"
)

// IngestOrder holds the pairs of an Ingest to its rules; every
// implementation asks it before it takes a pair.
type IngestOrder struct {
	spans []Span
	last  []byte
}

// NewIngestOrder checks that spans are not empty, sorted and disjoint, and
// copies them. What breaks a rule is refused with kv.ErrInvalid.
func NewIngestOrder(spans []Span) (*IngestOrder, error) {
	if len(spans) == 0 {
		return nil, kv.Invalid("ingest needs at least one span")
	}
	o := &IngestOrder{spans: make([]Span, len(spans))}
	var end []byte
	for i, s := range spans {
		if bytes.Compare(s.Start, s.End) >= 0 {
			return nil, kv.Invalid("ingest span [%x, %x) is empty", s.Start, s.End)
		}
		if bytes.Compare(s.Start, end) < 0 {
			return nil, kv.Invalid("ingest span starts at %x, before %x where the last one ends",
				s.Start, end)
		}
		o.spans[i] = Span{Start: bytes.Clone(s.Start), End: bytes.Clone(s.End)}
		end = s.End
	}
	return o, nil
}

// Spans returns the spans that are replaced, in order. The caller only reads
// them.
func (o *IngestOrder) Spans() []Span {
	return o.spans
}

// Next takes the key of the next pair, or refuses it with kv.ErrInvalid
// because it is not above the one before or lies in no span. A refused key
// changes nothing. Next copies key.
func (o *IngestOrder) Next(key []byte) error {
	if o.last != nil && bytes.Compare(key, o.last) <= 0 {
		return kv.Invalid("ingest key %x is not above the last one, %x", key, o.last)
	}
	for _, s := range o.spans {
		if bytes.Compare(key, s.Start) >= 0 && bytes.Compare(key, s.End) < 0 {
			o.last = append(o.last[:0], key...)
			return nil
		}
	}
	return kv.Invalid("ingest key %x lies in no span", key)
}
