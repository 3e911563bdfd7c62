package replica

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/wire"
	"go.etcd.io/raft/v3/raftpb"
)

// LeaseChange is a lease's record for the log: nil for a lease that is gone.
type LeaseChange struct {
	ID     kv.LeaseID
	Record *keyspace.LeaseRecord
}

// ProposeLeases sends a batch of records through the system shard's log. It
// reports whether raft took it; LeaseBatch tells when it is applied. Batches of
// a term are numbered upwards, from 1.
func (r *Replica) ProposeLeases(batch uint64, changes []LeaseChange) bool {
	return r.step([]*raftpb.Entry{{Data: appendLeases(nil, batch, changes)}})
}

// LeaseBatch is the last batch of this leader's term that is applied, 0 for
// none.
func (r *Replica) LeaseBatch() uint64 { return r.leases.batch }

// LoadLeases visits the records that are applied, by their ids.
func (r *Replica) LoadLeases(visit func(kv.LeaseID, *keyspace.LeaseRecord)) error {
	return r.eachLease(func(id kv.LeaseID, value []byte) error {
		rec, err := keyspace.ParseLeaseRecord(value)
		if err == nil {
			visit(id, &rec)
		}
		return err
	})
}

// eachLease visits what the shard's metadata has on leases.
func (r *Replica) eachLease(visit func(id kv.LeaseID, value []byte) error) error {
	span := keyspace.LeaseMetaSpan(r.cfg.Shard)
	it, err := r.cfg.Engine.NewIter(span.Start, span.End)
	if err != nil {
		return err
	}
	defer func() { _ = it.Close() }()
	for on := it.First(); on; on = it.Next() {
		_, _, suffix, err := keyspace.ParseMetaKey(it.Key())
		if err != nil {
			return err
		}
		id, err := keyspace.ParseLeaseMetaSuffix(suffix)
		if err != nil {
			return err
		}
		if err := visit(id, it.Value()); err != nil {
			return fmt.Errorf("shard %v: lease %d: %w", r.cfg.Shard, id, err)
		}
	}
	return it.Error()
}

func appendLeases(buf []byte, batch uint64, changes []LeaseChange) []byte {
	buf = binary.AppendUvarint(append(buf, kindLeases), batch)
	var record []byte
	for _, c := range changes {
		record = record[:0]
		if c.Record != nil {
			record = keyspace.AppendLeaseRecord(record, *c.Record)
		}
		buf = binary.AppendUvarint(buf, uint64(c.ID))
		buf = binary.AppendUvarint(buf, uint64(len(record)))
		buf = append(buf, record...)
	}
	return buf
}

// decodeLeases undoes appendLeases, but for the records, which it leaves
// encoded: an empty one is of a lease that is gone.
func decodeLeases(body []byte, visit func(id kv.LeaseID, record []byte) error) (
	batch uint64, err error,
) {
	batch, n := binary.Uvarint(body)
	if n <= 0 {
		return 0, fmt.Errorf("%w: log entry: batch of leases", kv.ErrCorrupt)
	}
	for body = body[n:]; len(body) > 0; {
		id, n := binary.Uvarint(body)
		if n <= 0 {
			return 0, fmt.Errorf("%w: log entry: lease", kv.ErrCorrupt)
		}
		size, m := binary.Uvarint(body[n:])
		if m <= 0 || size > uint64(len(body)-n-m) {
			return 0, fmt.Errorf("%w: log entry: record of lease %d", kv.ErrCorrupt, id)
		}
		record := body[n+m:][:size]
		if err := visit(kv.LeaseID(id), record); err != nil {
			return 0, err
		}
		body = body[n+m+int(size):]
	}
	return batch, nil
}

func (r *Replica) applyLeases(b engine.Batch, e *raftpb.Entry, body []byte) error {
	batch, err := decodeLeases(body, func(id kv.LeaseID, record []byte) error {
		key := keyspace.LeaseMetaKey(nil, r.cfg.Shard, id)
		if len(record) == 0 {
			return b.Delete(key)
		}
		if _, err := keyspace.ParseLeaseRecord(record); err != nil {
			return err
		}
		return b.Set(key, record)
	})
	if err == nil && r.role.leader && e.GetTerm() == r.role.term {
		r.leases.batch = batch
	}
	return err
}

// mark is a change of what a data shard knows of a lease, as the log holds it.
type mark struct {
	id   kv.LeaseID
	op   byte
	life uint64
}

// What becomes of a mark. The first two are keyspace.LeaseMark's states.
const (
	markActive = iota
	markClosing
	markForgotten
	marksEnd
)

func appendMarks(buf []byte, marks []mark) []byte {
	buf = append(buf, kindLeaseMarks)
	for _, m := range marks {
		buf = binary.AppendUvarint(buf, uint64(m.id))
		buf = append(buf, m.op)
		buf = binary.AppendUvarint(buf, m.life)
	}
	return buf
}

func decodeMarks(body []byte) ([]mark, error) {
	var marks []mark
	for len(body) > 0 {
		id, n := binary.Uvarint(body)
		if n <= 0 || n >= len(body) || body[n] >= marksEnd {
			return nil, fmt.Errorf("%w: log entry: mark %d of a lease", kv.ErrCorrupt, len(marks))
		}
		m := mark{id: kv.LeaseID(id), op: body[n]}
		body = body[n+1:]
		if m.life, n = binary.Uvarint(body); n <= 0 || m.life == 0 {
			return nil, fmt.Errorf("%w: log entry: life of lease %d", kv.ErrCorrupt, id)
		}
		body = body[n:]
		marks = append(marks, m)
	}
	return marks, nil
}

// applyMarks takes marks down. One that is overtaken by what is known changes
// nothing, on all replicas alike.
func (r *Replica) applyMarks(b engine.Batch, body []byte) error {
	marks, err := decodeMarks(body)
	if err != nil {
		return err
	}
	for _, m := range marks {
		key := keyspace.LeaseMetaKey(nil, r.cfg.Shard, m.id)
		old, known := r.leases.marks[m.id]
		next := keyspace.LeaseMark{Life: m.life, Closing: m.op == markClosing}
		switch {
		case m.op == markForgotten && known && old.Life <= m.life:
			delete(r.leases.marks, m.id)
			err = b.Delete(key)
		case m.op != markForgotten && next.Follows(old):
			r.leases.marks[m.id] = next
			err = b.Set(key, keyspace.AppendLeaseMark(nil, next))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// failItem answers a transaction with an error. That of a put on a lease which
// is not active here tells which it is.
func (r *Replica) failItem(to Origin, err error, out *Output) {
	var inactive *mvcc.InactiveLease
	if !errors.As(err, &inactive) {
		r.fail(to, err, out)
		return
	}
	r.answer(to, &wire.Response{
		Code: wire.CodeLeaseInactive, Text: err.Error(),
		Lease: &wire.LeaseResponse{Lease: kv.Lease{ID: inactive.ID}},
	}, out)
}

// leaseResponse is the answer about a lease's mark.
func leaseResponse(id kv.LeaseID, life uint64) *wire.Response {
	return &wire.Response{Lease: &wire.LeaseResponse{Lease: kv.Lease{ID: id}, Life: life}}
}
