// Package kubernetes proves that Kubernetes' API server can keep its objects
// in Miruvor. It holds tests only, in a module of its own, so that what they
// need stays out of the program.
//
// The tests are Kubernetes' own: k8s.io/apiserver exports the functions that
// describe what its storage layer promises to the layers above. Here they meet
// that storage layer, which is an etcd client, and a cluster:
//
//	storagetesting.RunTest…   what a resource's storage promises
//	        │
//	   cacher.Cacher          the watch cache, in the tests of TestCacher
//	        │
//	   etcd3.New              Kubernetes' storage on an etcd client
//	        │  gRPC
//	   miruvor processes      one node with one shard; three with eight
//
// TestServer… are the requests of an API server that starts or runs: health,
// features, compaction, leases, sizes.
//
// MIRUVOR_TEST_ENDPOINTS=http://127.0.0.1:2379 runs all of it against a cluster
// that is there already, such as etcd, and so tests the tests. It must report
// the progress of watches every second (--watch-progress-notify-interval=1s).
// Tests run one by one, since Kubernetes' features are switches of the process,
// but on all clusters at once. Each begins by deleting what is under their common
// prefix, /pods/.
package kubernetes
