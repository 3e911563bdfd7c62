// Package grpcserver serves gRPC over HTTP/2 for a fraction of what a general
// server costs: a unary call takes about 3 µs of CPU here under load, and 15 to 25
// with grpc-go, which was measured to be most of what a read costs
// (docs/decisions/0012-grpc-server.md).
//
// It owns connections, streams, flow control and the lives of handlers, and knows
// nothing of what is served: services are those that protoc-gen-go-grpc makes, and
// Server is a grpc.ServiceRegistrar for them. Header compression is
// golang.org/x/net's.
//
//	socket ──reader goroutine──> stream ──> handler goroutine
//	   ^                                         │ answer
//	   └── whoever comes first flushes <── out buffer of the connection
//
// Where it saves: one goroutine a connection reads, one a call answers, and none
// writes. Who has appended an answer to the connection's buffer flushes it after
// it has let others run, so that answers that are ready together share a system
// call. Frames are read where they lie in the buffer. Contexts need no derivation,
// what a header means is remembered, and nothing is encoded twice.
//
// It does not recover from a handler's panic, and knows no interceptors: who
// registers services can wrap their handlers.
//
//  1. A handler's context ends with its stream, its deadline or its connection.
//  2. Memory is bounded: by the message limit for each call under way, by the
//     window of a stream for messages that wait for a handler, by outBytesMax for
//     what a client does not read, and by abandonedMax for handlers that it gave up.
//     Beyond the last two it is not read itself. A call whose message does not come
//     is given up after restTimeoutMax, so that it leaves the Gate's Room.
//  3. A client that breaks the protocol is told so before it is disconnected, and
//     one whose server stops well before its calls are refused.
//  4. Stop returns when no goroutine of the server is left.
//
// Sources: RFC 9113 (HTTP/2), RFC 7541 (HPACK), and gRPC's "PROTOCOL-HTTP2" and
// "keepalive" documents (github.com/grpc/grpc/tree/master/doc).
package grpcserver
