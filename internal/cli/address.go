package cli

import (
	"fmt"
	"net"
	"strconv"
)

// addresses are where a node listens and where others reach it.
type addresses struct {
	client, peer                   string
	advertiseClient, advertisePeer string
}

// complete fills in what others are told where the flags do not say it.
// ownEntry is the node's entry of --initial-cluster, or empty.
func (a *addresses) complete(ownEntry string) []error {
	var problems []error
	check := func(flag, address string, concrete bool) {
		if err := checkAddress(address, concrete); err != nil {
			problems = append(problems, fmt.Errorf("--%s is %q: %w", flag, address, err))
		}
	}
	check("client", a.client, false)
	check("peer", a.peer, false)
	if a.advertisePeer == "" {
		a.advertisePeer = ownEntry
	}
	if a.advertisePeer == "" && isConcrete(a.peer) {
		a.advertisePeer = a.peer
	}
	if a.advertiseClient == "" && isConcrete(a.client) {
		a.advertiseClient = a.client
	}
	if a.advertiseClient == "" {
		a.advertiseClient = withPort(a.advertisePeer, a.client)
	}
	if len(problems) > 0 {
		return problems
	}
	check("advertise-peer", a.advertisePeer, true)
	if a.advertisePeer != "" {
		check("advertise-client", a.advertiseClient, true)
	}
	return problems
}

// checkAddress refuses what is not host:port. A concrete one has a host that
// others can use.
func checkAddress(address string, concrete bool) error {
	if address == "" {
		return fmt.Errorf("the node listens on every interface, so say where others reach it")
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("it must be host:port")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > portMax {
		return fmt.Errorf("the port must be from 1 to %d", portMax)
	}
	if concrete && !isConcrete(address) {
		return fmt.Errorf("others cannot reach it there, it must name a host")
	}
	return nil
}

// isConcrete tells whether address names one host, and not every interface.
func isConcrete(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return false
	}
	ip := net.ParseIP(host)
	return ip == nil || !ip.IsUnspecified()
}

// withPort is the host of one address with the port of another, or "".
func withPort(hostOf, portOf string) string {
	host, _, err := net.SplitHostPort(hostOf)
	_, port, err2 := net.SplitHostPort(portOf)
	if err != nil || err2 != nil {
		return ""
	}
	return net.JoinHostPort(host, port)
}
