package etcdapi

// The versions of etcd whose API this is. Clients compare them: Kubernetes, for
// one, decides by them what it asks for.
const (
	// Version is that of the server, ClusterVersion the one that all members
	// of a cluster have in common, StorageVersion that of what is stored.
	Version        = "3.7.3"
	ClusterVersion = "3.7.0"
	StorageVersion = "3.7.0"
)
