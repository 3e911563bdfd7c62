package etcdtest

import (
	"context"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// begin empties the store. The current revision is then 1, and compacted; it
// deleted the key "begin" and nothing else.
func (r *Runner) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := r.revokeLeases(ctx); err != nil {
		return err
	}
	client := pb.NewKVClient(r.Conn)
	all := &pb.DeleteRangeRequest{Key: []byte{0}, RangeEnd: []byte{0}}
	if _, err := client.DeleteRange(ctx, all); err != nil {
		return fmt.Errorf("delete all keys: %w", err)
	}
	if _, err := client.Put(ctx, &pb.PutRequest{Key: []byte(verbBegin)}); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	deleted, err := client.DeleteRange(ctx, all)
	if err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	r.begun, r.base, r.lease = time.Now(), deleted.Header.Revision, ""
	r.member = fmt.Sprint(deleted.Header.MemberId)
	if _, err := client.Compact(ctx, &pb.CompactionRequest{Revision: r.base}); err != nil {
		return fmt.Errorf("compact: %w", err)
	}
	return nil
}

func (r *Runner) revokeLeases(ctx context.Context) error {
	client := pb.NewLeaseClient(r.Conn)
	granted, err := client.LeaseLeases(ctx, &pb.LeaseLeasesRequest{})
	if err != nil {
		return fmt.Errorf("list leases: %w", err)
	}
	for _, lease := range granted.Leases {
		_, err := client.LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: lease.ID})
		if err != nil && status.Code(err) != codes.NotFound {
			return fmt.Errorf("revoke lease %d: %w", lease.ID, err)
		}
	}
	return nil
}
