package etcdtest

import (
	"bytes"
	"slices"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// firstRevision is what a store that was never written to is at.
const firstRevision = 1

// revisionMax bounds the numbers that are taken for revisions; what scripts
// try above it stays as it is.
const revisionMax = 1 << 53

// ttlTolerance is how much a TTL may be off.
const ttlTolerance = 2 * time.Second

// revisionFields are the fields that hold revisions, in whatever message.
var revisionFields = []protoreflect.Name{
	"revision", "start_revision", "compact_revision", "hash_revision",
	"min_mod_revision", "max_mod_revision", "min_create_revision", "max_create_revision",
	"mod_revision", "create_revision", "rev",
}

// incomparable are the fields on which no two servers need to agree.
var incomparable = map[protoreflect.FullName]bool{
	"etcdserverpb.ResponseHeader.cluster_id":       true,
	"etcdserverpb.ResponseHeader.member_id":        true,
	"etcdserverpb.ResponseHeader.raft_term":        true,
	"etcdserverpb.HashResponse.hash":               true,
	"etcdserverpb.HashKVResponse.hash":             true,
	"etcdserverpb.HashKVResponse.compact_revision": true,
	"etcdserverpb.StatusResponse.version":          true,
	"etcdserverpb.StatusResponse.dbSize":           true,
	"etcdserverpb.StatusResponse.dbSizeInUse":      true,
	"etcdserverpb.StatusResponse.leader":           true,
	"etcdserverpb.StatusResponse.raftIndex":        true,
	"etcdserverpb.StatusResponse.raftAppliedIndex": true,
	"etcdserverpb.StatusResponse.raftTerm":         true,
	"etcdserverpb.StatusResponse.storageVersion":   true,
	"etcdserverpb.StatusResponse.dbSizeQuota":      true,
	"etcdserverpb.Member.ID":                       true,
	"etcdserverpb.Member.name":                     true,
	"etcdserverpb.Member.peerURLs":                 true,
	"etcdserverpb.Member.clientURLs":               true,
	"etcdserverpb.AlarmMember.memberID":            true,
}

// shiftRevisions adds by to every revision in m. Zero and less are no
// revisions but words of their own.
func shiftRevisions(m protoreflect.Message, by int64) {
	if by == 0 {
		return
	}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap():
		case field.IsList() && field.Message() != nil:
			for i := range value.List().Len() {
				shiftRevisions(value.List().Get(i).Message(), by)
			}
		case field.Message() != nil:
			shiftRevisions(value.Message(), by)
		case slices.Contains(revisionFields, field.Name()):
			if rev := value.Int(); rev > 0 && rev < revisionMax {
				m.Set(field, protoreflect.ValueOfInt64(rev+by))
			}
		}
		return true
	})
}

// normalize takes out of an answer what cannot be compared, and orders what
// has no order. No lease is older than age.
func normalize(m protoreflect.Message, base int64, age time.Duration) {
	shiftRevisions(m, firstRevision-base)
	clearIncomparable(m)
	switch resp := m.Interface().(type) {
	case *pb.LeaseTimeToLiveResponse:
		gone := resp.GrantedTTL - resp.TTL
		if gone > 0 && gone <= int64((age+ttlTolerance)/time.Second) && resp.TTL >= 0 {
			resp.TTL = resp.GrantedTTL
		}
		slices.SortFunc(resp.Keys, bytes.Compare)
	case *pb.LeaseLeasesResponse:
		slices.SortFunc(resp.Leases, func(a, b *pb.LeaseStatus) int { return int(a.ID - b.ID) })
	case *pb.MemberListResponse:
		// One line stands for all members, however many there are.
		resp.Members = resp.Members[:min(1, len(resp.Members))]
	}
}

func clearIncomparable(m protoreflect.Message) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case incomparable[field.FullName()]:
			m.Clear(field)
		case field.IsMap():
		case field.IsList() && field.Message() != nil:
			for i := range value.List().Len() {
				clearIncomparable(value.List().Get(i).Message())
			}
		case field.Message() != nil:
			clearIncomparable(value.Message())
		}
		return true
	})
}

// headerOf is the header of an answer, or nil.
func headerOf(m proto.Message) *pb.ResponseHeader {
	if answer, ok := m.(interface{ GetHeader() *pb.ResponseHeader }); ok {
		return answer.GetHeader()
	}
	return nil
}
