// Package conformance runs the scripts of internal/etcdtest at etcd itself, in
// this process: to record its answers (bench/record), to see whether it would
// give them again, and to compare Miruvor with it on sequences that nobody
// recorded (its tests).
package conformance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/miruvor/miruvor/bench/etcdstore"
	"github.com/miruvor/miruvor/internal/etcdtest"
)

// quiet is long beside the tenth of a second after which etcd catches up what
// watches missed.
const quiet = 400 * time.Millisecond

// answerBytesMax bounds an answer; etcd sets no bound.
const answerBytesMax = 64 << 20

// WithEtcd runs do with an etcd that nobody used before.
func WithEtcd(ctx context.Context, do func(*etcdtest.Runner) error) (err error) {
	dir, err := os.MkdirTemp("", "etcd-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	server, err := etcdstore.StartServer(ctx, dir, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	conn, err := grpc.NewClient(server.Client().Endpoints()[0],
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(answerBytesMax)))
	if err != nil {
		return fmt.Errorf("connect to etcd: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return do(&etcdtest.Runner{Conn: conn, Quiet: quiet, Etcd: true})
}

// Walk draws a sequence as often as it takes for etcd to give the same answers
// twice: on a busy machine, what a watch is told may come too late to be noted.
func Walk(ctx context.Context, r *etcdtest.Runner, seed uint64) (*etcdtest.Script, error) {
	return steady(func() (*etcdtest.Script, error) { return r.Walk(ctx, seed) })
}

// Record records a script as Walk does.
func Record(ctx context.Context, r *etcdtest.Runner, s *etcdtest.Script) error {
	_, err := steady(func() (*etcdtest.Script, error) { return s, r.Record(ctx, s) })
	return err
}

func steady(do func() (*etcdtest.Script, error)) (*etcdtest.Script, error) {
	const triesMax = 10
	last := ""
	for range triesMax {
		s, err := do()
		if err != nil {
			return nil, err
		}
		text := s.String()
		if text == last {
			return s, nil
		}
		last = text
	}
	return nil, fmt.Errorf("no two of %d runs were the same; the last:\n%s", triesMax, last)
}
