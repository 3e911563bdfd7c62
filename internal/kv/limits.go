package kv

import "fmt"

// TxnDepthMax is how deep transactions may nest: 1 is one without another
// inside.
const TxnDepthMax = 128

// Limits bound what one request may hold. The zero Limits refuse everything;
// begin with DefaultLimits.
type Limits struct {
	// KeyBytesMax is the longest key. A bound of a range may be one byte
	// longer, so that the range of one key can be written down.
	KeyBytesMax int
	// RequestBytesMax is the most that all keys and values of a
	// transaction, taken or not, add up to.
	RequestBytesMax int
	// OpsMax is the most compares, and the most operations in a branch. A
	// nested transaction gets what its parent left.
	OpsMax int
}

// DefaultLimits are etcd's.
var DefaultLimits = Limits{
	KeyBytesMax:     64 << 10,
	RequestBytesMax: 1536 << 10,
	OpsMax:          128,
}

// CheckRange refuses a read that breaks a rule or a bound, with ErrInvalid.
func (l Limits) CheckRange(req *RangeRequest) error {
	switch {
	case req.Limit < 0:
		return Invalid("limit is %d, it must not be negative", req.Limit)
	case req.BytesMax < 0:
		return Invalid("bytes max is %d, it must not be negative", req.BytesMax)
	case req.Revision < 0:
		return Invalid("revision is %d, it must not be negative", int64(req.Revision))
	}
	return l.checkBounds(req.Range)
}

// CheckWatch refuses a watch that breaks a rule or a bound, with ErrInvalid.
// A range that holds no key is refused too: nothing could ever happen in it.
func (l Limits) CheckWatch(req *WatchRequest) error {
	switch {
	case req.From < 0:
		return Invalid("from is %d, it must not be negative", int64(req.From))
	case req.Empty():
		return Invalid("range %v holds no key", req.Range)
	}
	return l.checkBounds(req.Range)
}

// CheckTxn refuses a transaction that breaks a rule or a bound, whatever the
// state of the store: ErrInvalid, ErrTooLarge, ErrTooManyOps, ErrDuplicateKey,
// and as in etcd ErrKeyNotFound for an operation without a request. Both
// branches are looked at, at every depth.
func (l Limits) CheckTxn(req *TxnRequest) error {
	if err := l.checkTxn(req, l.OpsMax, 1); err != nil {
		return err
	}
	if size := req.Size(); size > l.RequestBytesMax {
		return fmt.Errorf("%w: keys and values are %d bytes, the most is %d",
			ErrTooLarge, size, l.RequestBytesMax)
	}
	if err := checkDuplicates(req.Success); err != nil {
		return err
	}
	return checkDuplicates(req.Failure)
}

// Size is how many bytes the keys and values of req add up to, those of
// nested transactions and of both branches included.
func (req *TxnRequest) Size() int {
	size := 0
	for i := range req.Compares {
		c := &req.Compares[i]
		size += len(c.Key) + len(c.RangeEnd) + len(c.Value)
	}
	return size + opsSize(req.Success) + opsSize(req.Failure)
}

func opsSize(ops []Op) int {
	size := 0
	for _, op := range ops {
		switch {
		case op.Range != nil:
			size += len(op.Range.Start) + len(op.Range.End)
		case op.Put != nil:
			size += len(op.Put.Key) + len(op.Put.Value)
		case op.Delete != nil:
			size += len(op.Delete.Start) + len(op.Delete.End)
		case op.Txn != nil:
			size += op.Txn.Size()
		}
	}
	return size
}

func (l Limits) checkTxn(req *TxnRequest, opsMax, depth int) error {
	if depth > TxnDepthMax {
		return Invalid("transactions are nested deeper than %d", TxnDepthMax)
	}
	ops := max(len(req.Compares), len(req.Success), len(req.Failure))
	if ops > opsMax {
		return fmt.Errorf("%w: %d, the most is %d with %d at this depth",
			ErrTooManyOps, ops, l.OpsMax, opsMax)
	}
	for i := range req.Compares {
		if err := l.checkCompare(&req.Compares[i]); err != nil {
			return err
		}
	}
	for _, branch := range [...][]Op{req.Success, req.Failure} {
		for _, op := range branch {
			if err := l.checkOp(op, opsMax-ops, depth); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l Limits) checkCompare(c *Compare) error {
	switch {
	case c.Target > CompareLease:
		return Invalid("compare target is %d, the highest is %d", c.Target, CompareLease)
	case c.Relation > NotEqual:
		return Invalid("compare relation is %d, the highest is %d", c.Relation, NotEqual)
	case len(c.RangeEnd) > l.KeyBytesMax+1:
		return l.longKey("compare range end", len(c.RangeEnd), l.KeyBytesMax+1)
	}
	return l.checkKey("compare key", c.Key)
}

func (l Limits) checkOp(op Op, opsMax, depth int) error {
	set := 0
	for _, isSet := range [...]bool{
		op.Range != nil, op.Put != nil, op.Delete != nil, op.Txn != nil,
	} {
		if isSet {
			set++
		}
	}
	switch {
	case set > 1:
		return Invalid("an operation holds %d requests, it must hold one", set)
	case set == 0:
		return fmt.Errorf("%w: an operation holds no request", ErrKeyNotFound)
	case op.Range != nil:
		return l.CheckRange(op.Range)
	case op.Put != nil:
		return l.checkPut(op.Put)
	case op.Delete != nil:
		return l.checkBounds(op.Delete.Range)
	}
	return l.checkTxn(op.Txn, opsMax, depth+1)
}

func (l Limits) checkPut(put *PutRequest) error {
	switch {
	case put.IgnoreValue && len(put.Value) > 0:
		return Invalid("value is given although it is to be ignored")
	case put.IgnoreLease && put.Lease != 0:
		return Invalid("lease is given although it is to be ignored")
	}
	return l.checkKey("key", put.Key)
}

func (l Limits) checkKey(field string, key []byte) error {
	switch {
	case len(key) == 0:
		return Invalid("%s is empty", field)
	case len(key) > l.KeyBytesMax:
		return l.longKey(field, len(key), l.KeyBytesMax)
	}
	return nil
}

func (l Limits) checkBounds(r Range) error {
	switch bound := l.KeyBytesMax + 1; {
	case len(r.Start) == 0 && len(r.End) == 1 && r.End[0] == 0:
		// The range of the empty key alone: somebody forgot the key.
		return Invalid("key is empty")
	case len(r.Start) > bound:
		return l.longKey("range start", len(r.Start), bound)
	case len(r.End) > bound:
		return l.longKey("range end", len(r.End), bound)
	}
	return nil
}

func (l Limits) longKey(field string, size, bound int) error {
	return Invalid("%s is %d bytes, the most is %d", field, size, bound)
}
