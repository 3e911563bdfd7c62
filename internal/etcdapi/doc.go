// Package etcdapi is etcd's v3 API, as gRPC services on etcd's own published
// types, over a kv.Store.
//
// It owns no data and decides no conflict: a handler translates a request into
// calls of the store, and what the store answers into etcd's answer. Where the
// two differ, the difference lives here (sorts and filters of ranges, pages of
// long ones, etcd's texts of errors) and is told in docs/etcd.md.
//
//	connection → grpcserver → gate → guard → handler → kv.Store, kv.Maintainer
//	                            ↓       ↓        ↓
//	                        no leader  panic  rpctypes' error
//
// The gate lets requests in and ends streams (gate.go), the guard counts answers and
// outlives panics (guard.go). The calls of KV, which are nearly all there are, answer
// with replies that encode themselves (reply.go), and their requests are decoded by
// hand (decode.go); all else goes through protobuf's messages.
//
//  1. Every error that leaves has one of etcd's texts if etcd has one for it:
//     clients compare texts. errors.go is the one table.
//  2. A request has no effect unless it is understood whole.
//  3. Every header carries a revision at or above each that its answer shows.
//  4. Memory is bounded by limits of requests, of pages and of streams; only the
//     answer to a range without a limit is as long as the range.
//
// Source: etcd's rpc.proto and documentation of its API (etcd.io/docs/v3.6).
package etcdapi
