// Package history is what clients and watches of a cluster were told, and the
// judgement of it: whether there is one order of all that happened in which
// every answer is right, that agrees with time, and that every watch was told.
//
// It owns the records and the rules, and issues nothing itself; package drive
// does.
//
//	drive ──▶ History: Call …, Watch … ──▶ Judge
//	                                        │ Past: all that changed, by revision,
//	                                        │       as the first witness was told
//	                                        │ each call gets its place there
//	                                        ▼
//	                                      Verdict: what cannot be
//
// A witness is a watch of everything from the first revision on. Revisions say
// where each answer belongs, so that the order need not be searched for: what is
// left to check is that every answer is right in its place, that the order agrees
// with time, and that each change has one cause.
//
//  1. A call without an answer may have happened at any time after it began, or
//     never. If a witness saw it, it happened.
//  2. A refused call has not happened.
//  3. The same history is judged the same way each time.
package history
