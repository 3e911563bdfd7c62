// Package netlab is a network of hosts on one machine, each a Linux network
// namespace with an address of its own, between which a switch of ours carries
// every packet and does to it what real networks do: lose it, delay it, let
// others overtake it, or let nothing through in one direction.
//
//	process in namespace n1 ── kernel ── TUN ─┐            ┌─ TUN ── kernel ── n2
//	                                          ├─ Network ──┤
//	process in namespace n3 ── kernel ── TUN ─┘   links    └─ TUN ── kernel ── own
//
// It needs no netem, no bridge and no firewall of the kernel, only TUN and the
// right to make namespaces. Whoever uses it first starts itself again by
// Isolated; in there it is the first process of its own world, and when it ends,
// nothing of that world is left: no process, no interface, no mount.
//
//  1. The machine's own network is never touched.
//  2. A link has a direction: what a host sends to another passes one link, what
//     comes back passes another.
//  3. A packet is delivered once or not at all, and bytes are never changed.
//
// Linux only.
package netlab
