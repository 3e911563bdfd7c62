package etcdapi

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"

	"github.com/miruvor/miruvor/internal/backup"
)

// Snapshot sends a backup of the whole cluster as of one revision. It is the file
// that "miruvor restore" takes, not etcd's; its last 32 bytes are the checksum
// that etcdctl looks for.
func (s *maintenanceServer) Snapshot(
	_ *pb.SnapshotRequest, stream grpc.ServerStreamingServer[pb.SnapshotResponse],
) error {
	ctx := stream.Context()
	status, err := s.api.store.Status(ctx)
	if err != nil {
		return failure(err)
	}
	w := &snapshotWriter{stream: stream, left: max(status.Storage.InUseBytes, 1)}
	if _, err := backup.Write(ctx, s.api.store, w, backup.Options{}); err != nil {
		return failure(err)
	}
	return w.finish()
}

// snapshotBlobBytes is how much of a snapshot is in a message, as in etcd.
const snapshotBlobBytes = 32 << 10

// snapshotWriter sends what is written to it in messages.
type snapshotWriter struct {
	stream grpc.ServerStreamingServer[pb.SnapshotResponse]
	blob   []byte
	// left is about how much there is to send. It is at least 1 in all messages
	// but the last, which some clients know the end by.
	left int64
}

// Write implements io.Writer.
func (w *snapshotWriter) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		if len(w.blob) == snapshotBlobBytes {
			w.left = max(w.left-snapshotBlobBytes, 1)
			if err := w.send(w.left); err != nil {
				return 0, err
			}
		}
		if w.blob == nil {
			w.blob = make([]byte, 0, snapshotBlobBytes)
		}
		n := copy(w.blob[len(w.blob):cap(w.blob)], p)
		w.blob, p = w.blob[:len(w.blob)+n], p[n:]
	}
	return written, nil
}

// send sends the blob, which is the stream's from then on.
func (w *snapshotWriter) send(left int64) error {
	blob := w.blob
	w.blob = nil
	return w.stream.Send(&pb.SnapshotResponse{
		RemainingBytes: uint64(left), Blob: blob, Version: StorageVersion,
	})
}

// finish sends the last message.
func (w *snapshotWriter) finish() error { return w.send(0) }
