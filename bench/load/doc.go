// Package load asks a cluster over etcd's gRPC API and measures the answers.
//
// It owns what is asked (keys, workloads), by whom (clients in a closed loop: each waits for its
// answer before it asks again) and what is counted. It knows nothing of which system answers: the
// same bytes go to all. It does not start servers, and does not compare.
//
//	Workload ──next──> Request ──> Lean (bench/h2, bytes by hand)   ──> Answer ──check──> tally
//	                          └──> Standard (etcd's clientv3)     ──┘
//
// The machine that is measured also runs the load, so a Lean client spends as little as it can on
// a call: no goroutine of its own, headers as a few indexes, messages written and read by hand. It
// is still a checking client: an answer without a revision, with a wrong key, with too few keys, a
// failed compare, a watcher that misses a put: each ends the run with an error.
package load
