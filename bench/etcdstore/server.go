package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// Server is an etcd of one node inside this process, on ports of its own on
// the loopback interface. Close it.
type Server struct {
	etcd   *embed.Etcd
	client *clientv3.Client
}

// StartServer starts an etcd whose data lies in dir and waits until it leads.
// Unless durable it does not sync its files.
func StartServer(ctx context.Context, dir string, durable bool) (*Server, error) {
	anyPort := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	config := embed.NewConfig()
	config.Dir = dir
	config.ListenClientUrls, config.AdvertiseClientUrls = anyPort, anyPort
	config.ListenPeerUrls, config.AdvertisePeerUrls = anyPort, anyPort
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.UnsafeNoFsync = !durable
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return nil, fmt.Errorf("start etcd: %w", err)
	}
	s := &Server{etcd: etcd}
	select {
	case <-etcd.Server.ReadyNotify():
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), s.Close())
	}
	s.client, err = clientv3.New(clientv3.Config{
		Endpoints: []string{etcd.Clients[0].Addr().String()},
		Logger:    zap.NewNop(),
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect to etcd: %w", err), s.Close())
	}
	return s, nil
}

// Client is connected to s and closed with it.
func (s *Server) Client() *clientv3.Client { return s.client }

// Close stops the server. Its directory stays.
func (s *Server) Close() error {
	var err error
	if s.client != nil {
		err = s.client.Close()
	}
	s.etcd.Close()
	return err
}
