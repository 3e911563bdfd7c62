package kv

// RangeRequest reads keys as of one revision.
type RangeRequest struct {
	Range
	// Limit is the most keys to return; 0 means no limit.
	Limit int
	// BytesMax ends a page early, after at least one key, once keys and
	// values add up to it; 0 means no bound. Paging is by key: ask again
	// from the successor of the last key, at the response's revision.
	BytesMax int
	// Revision is the revision to read at; 0 means the latest. One that is
	// compacted or not yet reached is refused (ErrCompacted, ErrFutureRevision).
	Revision Revision
	// Serializable reads local, possibly stale, but consistent data.
	Serializable bool
	// KeysOnly leaves values out.
	KeysOnly bool
	// CountOnly returns Count alone.
	CountOnly bool
	// WantCount asks for Count beside the keys. Counting costs a walk over
	// the whole range, whatever the limit.
	WantCount bool
	// Reverse returns keys in descending order, and limits from the top.
	Reverse bool
}

// RangeResponse answers a RangeRequest. Keys are in ascending order unless
// Reverse was set. The receiver owns all slices.
type RangeResponse struct {
	// Revision is what the answer is a snapshot at when the request named
	// no revision; otherwise it is the cluster's current revision.
	Revision Revision
	KVs      []KeyValue
	// More tells that keys were left out because of Limit or BytesMax.
	More bool
	// Count is the number of keys in the range, if it was asked for.
	Count int64
}

// Size is how many bytes of keys and values an answer carries.
func (r *RangeResponse) Size() int {
	n := 0
	for i := range r.KVs {
		n += len(r.KVs[i].Key) + len(r.KVs[i].Value)
	}
	return n
}

// Fit is how many of some pairs an answer may hold by Limit and BytesMax.
func (req *RangeRequest) Fit(pairs []KeyValue) int {
	size := 0
	for i := range pairs {
		if req.Limit > 0 && i == req.Limit || req.BytesMax > 0 && i > 0 && size >= req.BytesMax {
			return i
		}
		size += len(pairs[i].Key) + len(pairs[i].Value)
	}
	return len(pairs)
}

// PutRequest sets a key.
type PutRequest struct {
	Key   []byte
	Value []byte
	// Lease is the lease to hang the key on, 0 for none.
	Lease LeaseID
	// PrevKV asks for the version before.
	PrevKV bool
	// IgnoreValue keeps the current value, IgnoreLease the current lease;
	// both need the key to exist (ErrKeyNotFound).
	IgnoreValue bool
	IgnoreLease bool
}

// DeleteRequest deletes all keys of a range.
type DeleteRequest struct {
	Range
	// PrevKV asks for the deleted versions.
	PrevKV bool
}

// Op is one operation of a transaction: exactly one field is set.
type Op struct {
	Range  *RangeRequest
	Put    *PutRequest
	Delete *DeleteRequest
	Txn    *TxnRequest
}

// Target is the property of a key that a Compare looks at.
type Target uint8

// The targets of a comparison.
const (
	CompareVersion Target = iota
	CompareCreate
	CompareMod
	CompareValue
	CompareLease
)

// Relation is how a Compare relates the key's property to its operand.
type Relation uint8

// The relations of a comparison.
const (
	Equal Relation = iota
	Greater
	Less
	NotEqual
)

// Compare is a condition on one key, or on every key of a range. A missing
// key compares as one whose version, revisions and lease are zero; on
// CompareValue a missing key makes the condition false. A range without keys
// compares as one missing key.
type Compare struct {
	// Key is the key to look at; with RangeEnd set, [Key, RangeEnd).
	Key []byte
	// RangeEnd makes the condition cover a range. Empty means one key, and
	// the single byte 0 means "no upper bound", as in etcd.
	RangeEnd []byte
	Target   Target
	Relation Relation
	// Number is the operand for version, revisions and lease.
	Number int64
	// Value is the operand for CompareValue.
	Value []byte
}

// Keys is the range that c looks at.
func (c Compare) Keys() Range {
	switch {
	case len(c.RangeEnd) == 0:
		return PointRange(c.Key)
	case len(c.RangeEnd) == 1 && c.RangeEnd[0] == 0:
		return Range{Start: c.Key}
	}
	return Range{Start: c.Key, End: c.RangeEnd}
}

// TxnRequest is etcd's transaction: if all compares hold, Success runs,
// otherwise Failure. All compares, nested ones included, are decided before
// any operation runs; reads see the writes before them in the same branch; all writes
// share one revision.
type TxnRequest struct {
	Compares []Compare
	Success  []Op
	Failure  []Op
}

// Puts reports whether some operation of t, in either branch and however deep,
// is a put: whether t may need room.
func (t *TxnRequest) Puts() bool {
	for _, branch := range [...][]Op{t.Success, t.Failure} {
		for i := range branch {
			if op := &branch[i]; op.Put != nil || op.Txn != nil && op.Txn.Puts() {
				return true
			}
		}
	}
	return false
}

// TxnResponse answers a TxnRequest.
type TxnResponse struct {
	// Revision is the transaction's own if it wrote, else the revision that
	// it read at.
	Revision  Revision
	Succeeded bool
	// Results stand in the order of the operations of the branch that ran.
	Results []Result
}

// Result answers one Op: exactly the field of the operation is set.
type Result struct {
	Range  *RangeResponse
	Put    *PutResponse
	Delete *DeleteResponse
	Txn    *TxnResponse
}

// PutResponse answers a PutRequest.
type PutResponse struct {
	// Prev is the version before, nil if there was none or none was asked.
	Prev *KeyValue
	// Version is the key's version now: 1 tells that the put created it.
	Version int64
}

// DeleteResponse answers a DeleteRequest.
type DeleteResponse struct {
	Deleted int64
	// Prev holds the deleted versions if they were asked for.
	Prev []KeyValue
}
