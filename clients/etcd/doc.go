// Package etcd proves that what was written for etcd works with Miruvor, by
// changing nothing but the address. It holds tests only, in a module of its
// own, so that what they need stays out of the program.
//
//	etcdctl    every command of etcdctl, told as stories (testdata/etcdctl):
//	           what etcd prints, Miruvor prints; ctldifferences_test.go lists
//	           where it does not, and why
//	clientv3   its key-value client, watches and leases, its recipes
//	           (concurrency, leasing, mirror, ordering, naming)
//	gateway    HTTP in the shapes of Patroni and of APISIX
//	survival   all of these at once while each node is killed, as kill -9
//	           does, and started again
//
// They run on a node with one shard and on three nodes with eight shards.
//
// MIRUVOR_TEST_ENDPOINTS=http://127.0.0.1:2379 runs them on a cluster that is
// there already, such as etcd, and so tests the tests; what needs a cluster of
// its own is skipped then. MIRUVOR, ETCD and ETCDCTL name programs to take
// instead of those that are built.
package etcd
