// Package etcdapi is etcd's v3 API, as gRPC services on etcd's own published
// types, over a kv.Store.
//
// It owns no data and decides no conflict: a handler translates a request into
// calls of the store, and what the store answers into etcd's answer. Where the
// two differ, the difference lives here (sorts and filters of ranges, pages of
// long ones, etcd's texts of errors) and is told in docs/etcd.md.
//
//		connection → grpc.Server → handler → kv.Store, kv.Maintainer
//		                              ↓ error
//		                           rpctypes' error
//
//	 1. Every error that leaves has one of etcd's texts if etcd has one for it:
//	    clients compare texts. errors.go is the one table.
//	 2. A request has no effect unless it is understood whole.
//	 3. Every header carries a revision at or above each that its answer shows.
//	 4. Memory is bounded by limits of requests, of pages and of streams; only the
//	    answer to a range without a limit is as long as the range.
//
// Source: etcd's rpc.proto and documentation of its API (etcd.io/docs/v3.6).
package etcdapi
