package etcdapi_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/miruvor/miruvor/internal/backup"
	"github.com/miruvor/miruvor/internal/etcdapi"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// TestSnapshotIsABackup: what etcd's clients save is a backup, and carries the
// checksum that etcdctl looks for.
func TestSnapshotIsABackup(t *testing.T) {
	fake := kvfake.New()
	const keys = 40
	for i := range keys {
		put := kv.PutRequest{
			Key: fmt.Appendf(nil, "k%02d", i), Value: bytes.Repeat([]byte{byte(i)}, 10_000),
		}
		if _, err := kv.Put(t.Context(), fake, put); err != nil {
			t.Fatal(err)
		}
	}
	client := pb.NewMaintenanceClient(serve(t, etcdapi.Options{Store: fake, Maintainer: fake}))
	stream, err := client.Snapshot(t.Context(), &pb.SnapshotRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var file []byte
	for last := uint64(1); ; {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			if last != 0 {
				t.Errorf("%d bytes should have followed", last)
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if last == 0 {
			t.Error("more came after the last")
		}
		last = resp.RemainingBytes
		file = append(file, resp.Blob...)
	}
	if len(file)%512 != sha256.Size {
		t.Errorf("%d bytes: that is no snapshot with a checksum", len(file))
	}
	body, sum := file[:len(file)-sha256.Size], file[len(file)-sha256.Size:]
	if want := sha256.Sum256(body); !bytes.Equal(sum, want[:]) {
		t.Error("the checksum is another")
	}
	found := 0
	summary, err := backup.Read("snapshot", bytes.NewReader(file), backup.Sink{
		Key: func(*kv.KeyValue) error { found++; return nil },
	})
	if err != nil || found != keys || summary.Revision != keys+1 {
		t.Errorf("%d keys at %v, %v", found, summary.Revision, err)
	}
}

// compactedMeanwhile is a store that is compacted after the first page.
type compactedMeanwhile struct {
	*kvfake.Store
	pages int
}

// Range implements kv.Store.
func (s *compactedMeanwhile) Range(
	ctx context.Context, req kv.RangeRequest,
) (kv.RangeResponse, error) {
	if s.pages++; s.pages > 1 {
		return kv.RangeResponse{}, kv.ErrCompacted
	}
	resp, err := s.Store.Range(ctx, req)
	resp.More = true
	return resp, err
}

// TestSnapshotFails: a client never takes a part for the whole.
func TestSnapshotFails(t *testing.T) {
	store := &compactedMeanwhile{Store: kvfake.New()}
	if _, err := kv.Put(t.Context(), store, kv.PutRequest{Key: []byte("a")}); err != nil {
		t.Fatal(err)
	}
	client := pb.NewMaintenanceClient(serve(t, etcdapi.Options{Store: store, Maintainer: store}))
	stream, err := client.Snapshot(t.Context(), &pb.SnapshotRequest{})
	for err == nil {
		_, err = stream.Recv()
	}
	if got := told(nil, err); got !=
		"OutOfRange: etcdserver: mvcc: required revision has been compacted\n" {
		t.Errorf("told %s", got)
	}
}
