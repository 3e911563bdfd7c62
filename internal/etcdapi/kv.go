package etcdapi

import pb "go.etcd.io/etcd/api/v3/etcdserverpb"

// kvServer is etcd's KV service.
type kvServer struct {
	pb.UnimplementedKVServer
	api *API
}
