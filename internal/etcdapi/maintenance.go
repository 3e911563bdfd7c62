package etcdapi

import pb "go.etcd.io/etcd/api/v3/etcdserverpb"

// maintenanceServer is etcd's Maintenance service.
type maintenanceServer struct {
	pb.UnimplementedMaintenanceServer
	api *API
}
