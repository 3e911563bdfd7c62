package etcdapi

import (
	"context"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
)

// kvDescription is etcd's description of KV, with handlers of our own for the two
// calls that clients make most. What they answer is a reply if it can be.
func kvDescription() *grpc.ServiceDesc {
	desc := pb.KV_ServiceDesc
	desc.Methods = slices.Clone(desc.Methods)
	for i := range desc.Methods {
		switch m := &desc.Methods[i]; m.MethodName {
		case "Range":
			m.Handler = handleRange
		case "Put":
			m.Handler = handlePut
		}
	}
	return &desc
}

func handleRange(
	srv any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor,
) (any, error) {
	r := new(pb.RangeRequest)
	if err := decode(r); err != nil {
		return nil, err
	}
	s := srv.(*kvServer)
	if r.CountOnly || shapeOf(r) != asStored {
		return s.Range(ctx, r)
	}
	read, err := s.read(ctx, r)
	if err != nil {
		return nil, err
	}
	if read.Count == 0 {
		read.Count = int64(len(read.KVs))
	}
	return &rangeReply{standing: s.api.maint.Standing(), read: read, keysOnly: r.KeysOnly}, nil
}

func handlePut(
	srv any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor,
) (any, error) {
	r := new(pb.PutRequest)
	if err := decode(r); err != nil {
		return nil, err
	}
	s := srv.(*kvServer)
	rev, prev, err := s.put(ctx, r)
	if err != nil {
		return nil, err
	}
	return &putReply{standing: s.api.maint.Standing(), revision: rev, prev: prev}, nil
}
