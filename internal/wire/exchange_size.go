package wire

import "encoding/binary"

func gatherSize(q *Gather) int {
	const overhead = 2 * elementOverheadBytes
	size := 0
	for i := range q.Reads {
		size += overhead + len(q.Reads[i].Start) + len(q.Reads[i].End)
	}
	return size
}

func gatheredSize(p *Gathered) int {
	const overhead = 3 * elementOverheadBytes
	size := 0
	for i := range p.Parts {
		part := &p.Parts[i]
		size += overhead + len(part.Text) + keyValuesSize(part.Range.KVs)
	}
	return size
}

func prepareSize(q *Prepare) int {
	size := gatherSize(&q.Gather) + numbersSize(q.Leases)
	for i := range q.Locks {
		size += elementOverheadBytes + len(q.Locks[i].Start) + len(q.Locks[i].End)
	}
	return size
}

func decideSize(q *Decide) int {
	size := len(q.Effect)
	for i := range q.Others {
		size += partSize(&q.Others[i])
	}
	return size
}

func partSize(p *Part) int { return elementOverheadBytes + len(p.Effect) }

func fedSize(p *Fed) int {
	size := 0
	for i := range p.Events {
		e := &p.Events[i]
		size += elementOverheadBytes + keyValueSize(&e.KV)
		if e.Prev != nil {
			size += keyValueSize(e.Prev)
		}
	}
	return size
}

func leaseResponseSize(p *LeaseResponse) int {
	size := numbersSize(p.IDs) + numbersSize(p.Shards)
	for _, key := range p.Lease.Keys {
		size += elementOverheadBytes + len(key)
	}
	return size
}

func numbersSize[T number](list []T) int { return len(list) * binary.MaxVarintLen64 }
