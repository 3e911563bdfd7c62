package txn

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/wire"
)

// ErrStale means that the revision which a try was to read at is compacted
// meanwhile: begin anew.
var ErrStale = errors.New("txn: the revision to read at is compacted")

// Evaluate runs the transaction over what all shards have told, and keeps what
// it comes to. bytesMax bounds what it returns and deletes. It returns what
// mvcc.Evaluate does.
func (t *Try) Evaluate(bytesMax int) error {
	found, err := t.found()
	if err != nil {
		return err
	}
	overlay, own := overlayOf(found)
	view := mvcc.View{
		Reader: nothing{}, Overlay: overlay, Current: kv.RevisionMax, BytesMax: bytesMax,
		Past: t.lookUp, Leases: t,
	}
	t.eval, err = mvcc.Evaluate(view, t.req, mvcc.Provisional(own))
	return err
}

// found are the latest versions that the shards told, each key once, in the
// order of their revisions.
func (t *Try) found() ([]kv.KeyValue, error) {
	var all []kv.KeyValue
	for _, p := range t.parts {
		for i, read := range p.prepare.Gather.Reads {
			got := &p.prepared.Gathered.Parts[i]
			switch {
			case read.Revision != 0:
				continue
			case got.Code == wire.CodeCompacted:
				return nil, ErrStale
			case got.Code != wire.CodeOK:
				return nil, partError(got)
			}
			all = append(all, got.Range.KVs...)
		}
	}
	// The same version may have been read with its value and without it.
	slices.SortFunc(all, func(a, b kv.KeyValue) int {
		return cmp.Or(keyOrder(a, b), len(b.Value)-len(a.Value))
	})
	all = slices.CompactFunc(all, func(a, b kv.KeyValue) bool { return keyOrder(a, b) == 0 })
	slices.SortStableFunc(all, func(a, b kv.KeyValue) int {
		return cmp.Compare(a.ModRevision, b.ModRevision)
	})
	return all, nil
}

func partError(p *wire.GatheredPart) error {
	return (&wire.Response{Code: p.Code, Text: p.Text}).Err()
}

// overlayOf is a state that has just these versions, and the sequence number
// that follows it.
func overlayOf(found []kv.KeyValue) (*mvcc.Overlay, uint64) {
	overlay, seq := mvcc.NewOverlay(), uint64(1)
	for len(found) > 0 {
		rev, n := found[0].ModRevision, 0
		var writes []mvcc.Write
		for n < len(found) && found[n].ModRevision == rev {
			pair := &found[n]
			writes = append(writes, mvcc.Write{
				Key: pair.Key, Value: pair.Value, Create: pair.CreateRevision,
				Version: pair.Version, Lease: pair.Lease,
			})
			n++
		}
		overlay.Add(seq, rev, writes)
		seq, found = seq+1, found[n:]
	}
	return overlay, seq
}

// lookUp is the answer to a read that names its revision.
func (t *Try) lookUp(req *kv.RangeRequest) (kv.RangeResponse, error) {
	for i := range t.past {
		if t.past[i].req == req {
			return t.past[i].merge()
		}
	}
	return kv.RangeResponse{}, fmt.Errorf("%w: a read that was not planned", kv.ErrInvalid)
}

// merge joins what the shards told of a read.
func (p *pastRead) merge() (kv.RangeResponse, error) {
	var out kv.RangeResponse
	places := slices.Clone(p.places)
	if p.req.Reverse {
		slices.Reverse(places)
	}
	for _, at := range places {
		got := &at.part.prepared.Gathered.Parts[at.read]
		if got.Code != wire.CodeOK {
			return out, partError(got)
		}
		out.KVs = append(out.KVs, got.Range.KVs...)
		out.Count += got.Range.Count
		out.More = out.More || got.Range.More
	}
	if n := p.req.Fit(out.KVs); n < len(out.KVs) {
		out.KVs, out.More = out.KVs[:n], true
	}
	return out, nil
}

// nothing is an engine without a key.
type nothing struct{}

var _ engine.Reader = nothing{}

func (nothing) Get([]byte) ([]byte, error) { return nil, engine.ErrNotFound }

func (nothing) SeekPrefix(_, _ []byte) (key, value []byte, err error) {
	return nil, nil, engine.ErrNotFound
}

func (nothing) NewIter(_, _ []byte) (engine.Iterator, error) { return nowhere{}, nil }

// nowhere iterates over nothing.
type nowhere struct{}

func (nowhere) Close() error         { return nil }
func (nowhere) First() bool          { return false }
func (nowhere) Last() bool           { return false }
func (nowhere) SeekGE(_ []byte) bool { return false }
func (nowhere) SeekLT(_ []byte) bool { return false }
func (nowhere) Next() bool           { return false }
func (nowhere) Leave(_ []byte) bool  { return false }
func (nowhere) Prev() bool           { return false }
func (nowhere) Key() []byte          { return nil }
func (nowhere) Value() []byte        { return nil }
func (nowhere) Error() error         { return nil }
