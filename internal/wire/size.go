package wire

import "github.com/miruvor/miruvor/internal/kv"

// What SizeHint counts for a message or an element beside its byte slices.
const (
	messageOverheadBytes = 256
	elementOverheadBytes = 32
)

// SizeHint is roughly how many bytes m takes, encoded or in memory: enough
// to bound a queue by. It never undercounts the encoding.
func (m *Message) SizeHint() int {
	size := messageOverheadBytes
	switch {
	case m.Raft != nil:
		size += len(m.Raft.Msg.GetContext())
		for _, e := range m.Raft.Msg.GetEntries() {
			size += elementOverheadBytes + len(e.Data)
		}
	case m.Request != nil:
		size += requestSize(m.Request)
	case m.Response != nil:
		size += responseSize(m.Response)
	case m.Greeting != nil:
		n := &m.Greeting.Node
		size += len(n.Name) + len(n.Peer) + len(n.Client)
	}
	return size
}

func requestSize(q *Request) int {
	switch {
	case q.Txn != nil:
		return txnSize(q.Txn)
	case q.Range != nil:
		return len(q.Range.Start) + len(q.Range.End)
	case q.Gather != nil:
		return gatherSize(q.Gather)
	case q.Prepare != nil:
		return prepareSize(q.Prepare)
	case q.Decide != nil:
		return decideSize(q.Decide)
	case q.Resolve != nil:
		return len(q.Resolve.Effect)
	case q.Feed != nil:
		return len(q.Feed.Keys.Start) + len(q.Feed.Keys.End)
	}
	return 0
}

func txnSize(t *kv.TxnRequest) int {
	size := elementOverheadBytes
	for i := range t.Compares {
		c := &t.Compares[i]
		size += elementOverheadBytes + len(c.Key) + len(c.RangeEnd) + len(c.Value)
	}
	for _, ops := range [][]kv.Op{t.Success, t.Failure} {
		for i := range ops {
			size += opSize(&ops[i])
		}
	}
	return size
}

func opSize(op *kv.Op) int {
	const overhead = 2 * elementOverheadBytes
	switch {
	case op.Range != nil:
		return overhead + len(op.Range.Start) + len(op.Range.End)
	case op.Put != nil:
		return overhead + len(op.Put.Key) + len(op.Put.Value)
	case op.Delete != nil:
		return overhead + len(op.Delete.Start) + len(op.Delete.End)
	case op.Txn != nil:
		return overhead + txnSize(op.Txn)
	}
	return overhead
}

func responseSize(p *Response) int {
	size := len(p.Text)
	switch {
	case p.Txn != nil:
		size += txnResponseSize(p.Txn)
	case p.Range != nil:
		size += keyValuesSize(p.Range.KVs)
	case p.Map != nil:
		size += len(p.Map.Data)
	case p.Gathered != nil:
		size += gatheredSize(p.Gathered)
	case p.Prepared != nil:
		size += gatheredSize(&p.Prepared.Gathered) + numbersSize(p.Prepared.Missing)
	case p.Outcome != nil && p.Outcome.Part != nil:
		size += partSize(p.Outcome.Part)
	case p.Fed != nil:
		size += fedSize(p.Fed)
	case p.Lease != nil:
		size += leaseResponseSize(p.Lease)
	case p.Alarms != nil:
		size += elementOverheadBytes * len(p.Alarms.Raised)
	}
	return size
}

func txnResponseSize(t *kv.TxnResponse) int {
	size := elementOverheadBytes
	for i := range t.Results {
		size += resultSize(&t.Results[i])
	}
	return size
}

func resultSize(t *kv.Result) int {
	const overhead = 2 * elementOverheadBytes
	switch {
	case t.Range != nil:
		return overhead + keyValuesSize(t.Range.KVs)
	case t.Put != nil && t.Put.Prev != nil:
		return overhead + keyValueSize(t.Put.Prev)
	case t.Delete != nil:
		return overhead + keyValuesSize(t.Delete.Prev)
	case t.Txn != nil:
		return overhead + txnResponseSize(t.Txn)
	}
	return overhead
}

func keyValuesSize(kvs []kv.KeyValue) int {
	size := 0
	for i := range kvs {
		size += keyValueSize(&kvs[i])
	}
	return size
}

func keyValueSize(p *kv.KeyValue) int {
	return 2*elementOverheadBytes + len(p.Key) + len(p.Value)
}
