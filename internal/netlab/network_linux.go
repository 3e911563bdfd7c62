package netlab

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// Network is hosts and the switch between them. Methods may be called from any
// goroutine once all hosts are there.
type Network struct {
	hosts  []*Host
	byAddr map[netip.Addr]*Host
	links  map[[2]*Host]*link
	prefix netip.Prefix
	seed   uint64

	stop  chan struct{}
	tasks sync.WaitGroup
}

// New is a network without hosts, whose links draw from seed what they lose.
func New(prefix netip.Prefix, seed uint64) *Network {
	return &Network{
		byAddr: map[netip.Addr]*Host{}, links: map[[2]*Host]*link{}, prefix: prefix, seed: seed,
		stop: make(chan struct{}),
	}
}

// Add attaches a new host. Its address is that many above the network's.
func (n *Network) Add(name string, number int) (*Host, error) { return n.add(name, number, false) }

// AddSelf attaches the namespace of this process.
func (n *Network) AddSelf(name string, number int) (*Host, error) {
	return n.add(name, number, true)
}

func (n *Network) add(name string, number int, own bool) (*Host, error) {
	addr := n.prefix.Addr()
	for range number {
		addr = addr.Next()
	}
	if !addr.Is4() || !n.prefix.Contains(addr) {
		return nil, fmt.Errorf("host %s: number %d is not in %v", name, number, n.prefix)
	}
	h, err := newHost(name, addr, n.prefix.Bits(), own)
	if err != nil {
		return nil, err
	}
	h.queue = newDelayed()
	for _, other := range n.hosts {
		for _, pair := range [][2]*Host{{h, other}, {other, h}} {
			n.links[pair] = &link{rng: rand.New(rand.NewPCG(n.seed, uint64(len(n.links))))}
		}
	}
	n.hosts, n.byAddr[addr] = append(n.hosts, h), h
	return h, nil
}

// Run carries packets until Close. It is called once, when all hosts are there.
func (n *Network) Run() {
	for _, h := range n.hosts {
		n.tasks.Go(func() { n.forward(h) })
		n.tasks.Go(func() { h.queue.run(n.stop, h.deliver) })
	}
}

// Close stops the switch and lets go of the hosts.
func (n *Network) Close() error {
	close(n.stop)
	var errs []error
	for _, h := range n.hosts {
		errs = append(errs, h.tun.Close())
		if h.namespace != nil {
			errs = append(errs, h.namespace.Close())
		}
	}
	n.tasks.Wait()
	return errors.Join(errs...)
}

// Set changes the link from a host to another, in this direction only.
func (n *Network) Set(from, to *Host, c Condition) { n.links[[2]*Host{from, to}].set(c) }

// Traffic is what links did to packets.
type Traffic struct{ Carried, Lost, Late int64 }

// Traffic sums all links up.
func (n *Network) Traffic() Traffic {
	var t Traffic
	for _, l := range n.links {
		t.Carried += l.carried.Load()
		t.Lost += l.lost.Load()
		t.Late += l.late.Load()
	}
	return t
}

// forward carries what a host sends.
func (n *Network) forward(from *Host) {
	buffer := make([]byte, packetBytesMax+64)
	for {
		size, err := from.tun.Read(buffer)
		if err != nil {
			return // closed
		}
		if size < 20 || buffer[0]>>4 != 4 {
			continue // the kernel's own chatter is IPv6
		}
		to := n.byAddr[netip.AddrFrom4([4]byte(buffer[16:20]))]
		l := n.links[[2]*Host{from, to}]
		if l == nil {
			continue
		}
		l.pass(to, buffer[:size])
	}
}

// pass carries a packet to its host, now, later or never. It keeps nothing of
// data.
func (l *link) pass(to *Host, data []byte) {
	lost, delay := l.fate()
	switch {
	case lost:
		l.lost.Add(1)
	case delay == 0:
		l.carried.Add(1)
		to.deliver(data)
	case to.queue.add(time.Now().Add(delay), append([]byte(nil), data...)):
		l.late.Add(1)
	default:
		l.lost.Add(1)
	}
}

// deliver hands a packet to the host's kernel. Where that has no room, the
// packet is lost.
func (h *Host) deliver(data []byte) { _, _ = h.tun.Write(data) }
