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
//  2. The limit lies between LimitMin and LimitMax, but for LimitStalled while nothing
//     is done. While there is room, it goes to LimitIdle, which is what a burst may
//     have before anything is known of it.
//  3. Nothing that was let in is ever put out.
//
// Requests are counted in units: one, and one more for each UnitBytes of what they carry,
// so that the limit bounds memory too.
package admission
