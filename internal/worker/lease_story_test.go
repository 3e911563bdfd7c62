package worker

import (
	"fmt"
	"strings"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// leaseRequest reads what a client wants of leases:
//
//	grant 7 10    alive 7    ttl 7 [keys]    leases    revoke 7
//	hang 7 a …    (put keys on it)           keep a    (put, and keep the lease)
func (s *story) leaseRequest(words []string) (Request, bool) {
	id := func() kv.LeaseID { return kv.LeaseID(s.int(words[1])) }
	switch words[0] {
	case "grant":
		return ofLease(wire.Lease{Op: wire.LeaseGrant, ID: id(), TTL: int64(s.int(words[2]))}), true
	case "alive":
		return ofLease(wire.Lease{Op: wire.LeaseKeepAlive, ID: id()}), true
	case "ttl":
		req := ofLease(wire.Lease{Op: wire.LeaseTimeToLive, ID: id()})
		req.LeaseKeys = len(words) > 2
		return req, true
	case "leases":
		return ofLease(wire.Lease{Op: wire.LeaseList}), true
	case "revoke":
		return ofLease(wire.Lease{Op: wire.LeaseRevoke, ID: id()}), true
	case "hang":
		return hang(id(), words[2:]...), true
	case "keep":
		put := &kv.PutRequest{Key: []byte(words[1]), Value: []byte("k"), IgnoreLease: true}
		return Request{Txn: &kv.TxnRequest{Success: []kv.Op{{Put: put}}}}, true
	}
	return Request{}, false
}

func ofLease(req wire.Lease) Request { return Request{Lease: &req} }

// hang puts keys on a lease.
func hang(id kv.LeaseID, keys ...string) Request {
	req := Request{Txn: &kv.TxnRequest{}}
	for _, key := range keys {
		put := &kv.PutRequest{Key: []byte(key), Value: []byte("v"), Lease: id}
		req.Txn.Success = append(req.Txn.Success, kv.Op{Put: put})
	}
	return req
}

func showLease(r *wire.LeaseResponse) string {
	l := &r.Lease
	text := fmt.Sprintf("%v", l.Revision)
	if l.ID != 0 {
		text += fmt.Sprintf(" lease %d", l.ID)
	}
	if l.Granted > 0 {
		text += fmt.Sprintf(" %d of %d seconds", l.TTL, l.Granted)
	}
	if len(r.IDs) > 0 {
		text += fmt.Sprintf(" leases %v", r.IDs)
	}
	if len(r.Shards) > 0 {
		text += fmt.Sprintf(" shards %v", r.Shards)
	}
	if len(l.Keys) > 0 {
		text += fmt.Sprintf(" keys %q", l.Keys)
	}
	return text
}

func showLeaseRequest(shard kv.ShardID, q *wire.Lease) string {
	names := map[wire.LeaseOp]string{
		wire.LeaseGrant: "grant", wire.LeaseRevoke: "revoke", wire.LeaseKeepAlive: "keep alive",
		wire.LeaseTimeToLive: "time to live of", wire.LeaseList: "list",
		wire.LeaseAttach: "attach", wire.LeaseActivate: "activate", wire.LeaseClose: "close",
		wire.LeaseForget: "forget", wire.LeaseKeys: "keys of",
	}
	text := fmt.Sprintf("%v: %s lease %d", shard, names[q.Op], q.ID)
	if q.Shard != 0 {
		text += fmt.Sprintf(" to %v", q.Shard)
	}
	if q.Life != 0 {
		text += fmt.Sprintf(" life %d.%d", q.Life>>32, q.Life&0xffffffff)
	}
	return text
}

// leaseAnswer reads the answer of another node about a lease:
//
//	#2 lease 7 [ttl=10] [shards=1,2] [life=3.1] [keys=a,b] [at=r5]   #2 inactive 7   #2 not-found
func (s *story) leaseAnswer(words []string) (wire.Response, bool) {
	resp := wire.Response{Lease: &wire.LeaseResponse{}}
	switch words[0] {
	case "not-found":
		return wire.Response{Code: wire.CodeLeaseNotFound}, true
	case "inactive":
		resp.Code = wire.CodeLeaseInactive
	case "lease":
	default:
		return resp, false
	}
	l := resp.Lease
	l.Lease.ID = kv.LeaseID(s.int(words[1]))
	for _, word := range words[2:] {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "ttl":
			l.Lease.TTL, l.Lease.Granted = int64(s.int(value)), int64(s.int(value))
		case "shards":
			for n := range strings.SplitSeq(value, ",") {
				l.Shards = append(l.Shards, kv.ShardID(s.int(n)))
			}
		case "life":
			var term, n uint64
			_, err := fmt.Sscanf(value, "%d.%d", &term, &n)
			s.scene.must(err)
			l.Life = term<<32 | n
		case "keys":
			for key := range strings.SplitSeq(value, ",") {
				l.Lease.Keys = append(l.Lease.Keys, []byte(key))
			}
		case "at":
			l.Lease.Revision = s.revision(value)
		}
	}
	return resp, true
}
