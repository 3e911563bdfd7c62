// Package faultfs is a file system that fails on demand: it slows or fails
// what is done to chosen files, and flips bits of what is read or written.
//
//	raftlog, engine ── vfs.FS ──▶ faultfs.FS ──▶ the disk, or memory
//	                                  ▲
//	                   a test ── Inject, Lift
//
// It stands between the storage and a real or simulated disk in tests, and in
// processes that tests start. The product does not contain it.
//
//  1. Faults come and go at any time, from any goroutine; what begins after
//     Inject has returned meets the fault, and what begins after Lift has
//     returned does not.
//  2. A fault that delays holds up only whom it strikes; lifting it lets them go.
//  3. An operation that is made to fail is not done at all.
//  4. A Fault is plain data, so that it can be sent to the process that it
//     is for (encoding/json).
package faultfs
