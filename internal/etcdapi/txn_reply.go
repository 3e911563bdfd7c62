package etcdapi

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/miruvor/miruvor/internal/kv"
)

// Numbers of fields.
const (
	txnSucceeded protowire.Number = 2
	txnResponses protowire.Number = 3

	opRange  protowire.Number = 1
	opPut    protowire.Number = 2
	opDelete protowire.Number = 3
	opTxn    protowire.Number = 4
)

// txnReply is a TxnResponse: what the store said to txnRequest(request).
type txnReply struct {
	heading
	request *pb.TxnRequest
	resp    kv.TxnResponse
}

// append implements reply.
func (r *txnReply) append(b []byte) []byte {
	t := teller{own: r.resp.Revision, before: r.resp.Revision}
	if hasWritten(&r.resp) {
		t.before--
	}
	return t.txn(r.heading.append(b), r.request, &r.resp)
}

// hasWritten tells whether a transaction changed anything.
func hasWritten(resp *kv.TxnResponse) bool {
	for i := range resp.Results {
		switch r := &resp.Results[i]; {
		case r.Put != nil, r.Delete != nil && r.Delete.Deleted > 0:
			return true
		case r.Txn != nil && hasWritten(r.Txn):
			return true
		}
	}
	return false
}

// teller appends the answers to the operations of a transaction, in the order in
// which they ran. The header of each has the revision alone: what it read at, or
// wrote with. That of a nested transaction is empty.
type teller struct {
	// before is the revision that the transaction found, own what it made; they
	// are the same if it wrote nothing. has tells that something is written.
	before, own kv.Revision
	has         bool
}

// txn appends all of a TxnResponse but the header.
func (t *teller) txn(b []byte, r *pb.TxnRequest, resp *kv.TxnResponse) []byte {
	ops := r.Success
	if !resp.Succeeded {
		ops = r.Failure
	} else {
		b = appendVarintField(b, txnSucceeded, 1)
	}
	for i := range ops {
		var at int
		b, at = beginMessage(b, txnResponses)
		b = endMessage(t.op(b, ops[i], &resp.Results[i]), at)
	}
	return b
}

func (t *teller) op(b []byte, op *pb.RequestOp, result *kv.Result) []byte {
	switch r := op.Request.(type) {
	case *pb.RequestOp_RequestRange:
		b, at := beginMessage(b, opRange)
		shape(r.RequestRange, result.Range)
		read := rangeReply{heading: t.heading(), read: *result.Range}
		return endMessage(read.append(b), at)
	case *pb.RequestOp_RequestPut:
		t.has = true
		b, at := beginMessage(b, opPut)
		put := putReply{heading: t.heading(), prev: result.Put.Prev}
		return endMessage(put.append(b), at)
	case *pb.RequestOp_RequestDeleteRange:
		t.has = t.has || result.Delete.Deleted > 0
		b, at := beginMessage(b, opDelete)
		deleted := deleteReply{heading: t.heading(), deleted: *result.Delete}
		return endMessage(deleted.append(b), at)
	case *pb.RequestOp_RequestTxn:
		b, at := beginMessage(b, opTxn)
		return endMessage(t.txn(heading{}.append(b), r.RequestTxn, result.Txn), at)
	}
	return b
}

func (t *teller) heading() heading {
	if t.has {
		return heading{revision: t.own}
	}
	return heading{revision: t.before}
}
