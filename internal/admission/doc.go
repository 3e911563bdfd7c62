// Package admission decides how much may be under way at a time, so that what is let
// in is done soon and the rest is refused at once.
//
// Who gives more work to a server than it can do fills its queues: everything is late
// then, also what could have been done, and much of the work is for clients that have
// gone. A queue should be as long as what is done in the time that its clients are
// patient. By Little's law
//
//	under way = done a second × seconds that each takes
//
// so a Limiter measures what is done, and lets in as much as makes each take its target. It
// needs to know neither how fast the machine is nor what a request costs:
//
//	Take ──refused if live ≥ limit──> live ──> Leave ──> done
//	                ^                                      │
//	                └──── limit → done a second × target ──┘
//
// A Limiter may be asked by any goroutine; Take and Leave cost an atomic addition or
// two. It has no goroutine and no clock of its own.
//
//  1. live never exceeds the limit by more than one request.
//  2. The limit lies between Bounds.Min and Max, but for Stalled while nothing is done.
//     While there is room, it goes to Idle, which is what a burst may have before
//     anything is known of it.
//  3. Nothing that was let in is ever put out.
//
// A Room has two Limiters: of requests, and of the bytes that these carry. Many small
// requests and few large ones are not alike: a thousand clients that wait for their
// answers are let in whatever happens, and their gigabyte of values is not.
package admission
