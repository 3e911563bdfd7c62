package etcdapi

import pb "go.etcd.io/etcd/api/v3/etcdserverpb"

// decodeTxn knows transactions without others in them.
func decodeTxn(data []byte, r *pb.TxnRequest) bool {
	f := fields{data: data}
	for {
		known := true
		switch f.next() {
		case 1<<3 | 2:
			c := new(pb.Compare)
			known = decodeCompare(f.bytes(), c)
			r.Compare = append(r.Compare, c)
		case 2<<3 | 2:
			op := decodeOp(f.bytes())
			known = op != nil
			r.Success = append(r.Success, op)
		case 3<<3 | 2:
			op := decodeOp(f.bytes())
			known = op != nil
			r.Failure = append(r.Failure, op)
		case 0:
			return !f.bad
		default:
			return false
		}
		if !known {
			return false
		}
	}
}

func decodeCompare(data []byte, c *pb.Compare) bool {
	f := fields{data: data}
	for {
		switch f.next() {
		case 1 << 3:
			c.Result = pb.Compare_CompareResult(f.varint())
		case 2 << 3:
			c.Target = pb.Compare_CompareTarget(f.varint())
		case 3<<3 | 2:
			c.Key = f.bytes()
		case 4 << 3:
			c.TargetUnion = &pb.Compare_Version{Version: f.int64()}
		case 5 << 3:
			c.TargetUnion = &pb.Compare_CreateRevision{CreateRevision: f.int64()}
		case 6 << 3:
			c.TargetUnion = &pb.Compare_ModRevision{ModRevision: f.int64()}
		case 7<<3 | 2:
			c.TargetUnion = &pb.Compare_Value{Value: f.bytes()}
		case 8 << 3:
			c.TargetUnion = &pb.Compare_Lease{Lease: f.int64()}
		case 64<<3 | 2:
			c.RangeEnd = f.bytes()
		case 0:
			return !f.bad
		default:
			return false
		}
	}
}

// decodeOp is an operation that holds one request, and no transaction; nil if
// there is anything else.
func decodeOp(data []byte) *pb.RequestOp {
	f := fields{data: data}
	var (
		op    *pb.RequestOp
		known bool
	)
	switch f.next() {
	case 1<<3 | 2:
		op, known = decodeRangeOp(f.bytes())
	case 2<<3 | 2:
		op, known = decodePutOp(f.bytes())
	case 3<<3 | 2:
		op, known = decodeDeleteOp(f.bytes())
	}
	if !known || f.bad || len(f.data) > 0 {
		return nil
	}
	return op
}

// An operation, what wraps its request and the request are one piece of memory.

func decodeRangeOp(data []byte) (*pb.RequestOp, bool) {
	var o struct {
		op      pb.RequestOp
		wrapper pb.RequestOp_RequestRange
		request pb.RangeRequest
	}
	o.wrapper.RequestRange = &o.request
	o.op.Request = &o.wrapper
	return &o.op, decodeRange(data, &o.request)
}

func decodePutOp(data []byte) (*pb.RequestOp, bool) {
	var o struct {
		op      pb.RequestOp
		wrapper pb.RequestOp_RequestPut
		request pb.PutRequest
	}
	o.wrapper.RequestPut = &o.request
	o.op.Request = &o.wrapper
	return &o.op, decodePut(data, &o.request)
}

func decodeDeleteOp(data []byte) (*pb.RequestOp, bool) {
	var o struct {
		op      pb.RequestOp
		wrapper pb.RequestOp_RequestDeleteRange
		request pb.DeleteRangeRequest
	}
	o.wrapper.RequestDeleteRange = &o.request
	o.op.Request = &o.wrapper
	return &o.op, decodeDelete(data, &o.request)
}
