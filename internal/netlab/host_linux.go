package netlab

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

const (
	tunPath = "/dev/net/tun"
	// tunName is what the interface of a host is called in its namespace.
	tunName = "lab0"
	// packetBytesMax is the MTU: as large as jumbo frames, for less work.
	packetBytesMax = 9000
)

// Host is a namespace with an address, attached to a Network.
type Host struct {
	Name string
	Addr netip.Addr
	// namespace is nil for the host that this process itself is.
	namespace *os.File
	tun       *os.File
	queue     *delayed
}

// newHost makes a host. own says that it is this process's namespace, and not a
// new one.
func newHost(name string, addr netip.Addr, bits int, own bool) (*Host, error) {
	h := &Host{Name: name, Addr: addr}
	var err error
	if own {
		h.tun, err = attach(addr, bits)
	} else {
		err = inNewNamespace(func(namespace *os.File) error {
			h.namespace = namespace
			if err := raise("lo"); err != nil {
				return err
			}
			h.tun, err = attach(addr, bits)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("host %s: %w", name, err)
	}
	return h, nil
}

// Start starts a command on the host.
func (h *Host) Start(cmd *exec.Cmd) error {
	if h.namespace == nil {
		return cmd.Start()
	}
	return onThread(func() error {
		if err := unix.Setns(int(h.namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("entering the namespace of %s: %w", h.Name, err)
		}
		return cmd.Start()
	})
}

// inNewNamespace runs f on a thread in a new network namespace.
func inNewNamespace(f func(namespace *os.File) error) error {
	return onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("%w: a network namespace: %w", ErrNotAllowed, err)
		}
		namespace, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
		if err != nil {
			return err
		}
		return f(namespace)
	})
}

// onThread runs f on a thread that is never used again, so that f may change
// the thread's namespaces.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- f()
	}()
	return <-done
}

// attach makes the interface of the namespace that the calling thread is in.
func attach(addr netip.Addr, bits int) (*os.File, error) {
	fd, err := unix.Open(tunPath, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrNotAllowed, tunPath, err)
	}
	request, err := unix.NewIfreq(tunName)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err == nil {
		err = configure(addr, bits)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("%w: interface: %w", ErrNotAllowed, err)
	}
	return os.NewFile(uintptr(fd), tunPath), nil
}

// configure gives the interface its address, and brings it up.
func configure(addr netip.Addr, bits int) error {
	address := addr.As4()
	var netmask [4]byte
	for i := range bits {
		netmask[i/8] |= 0x80 >> (i % 8)
	}
	return withSocket(func(fd int) error {
		for _, step := range []struct {
			request uint
			set     func(*unix.Ifreq) error
		}{
			{unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(address[:]) }},
			{unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr(netmask[:]) }},
			{unix.SIOCSIFMTU, func(r *unix.Ifreq) error {
				r.SetUint32(packetBytesMax)
				return nil
			}},
		} {
			request, err := unix.NewIfreq(tunName)
			if err == nil {
				err = step.set(request)
			}
			if err == nil {
				err = unix.IoctlIfreq(fd, step.request, request)
			}
			if err != nil {
				return err
			}
		}
		return raise(tunName)
	})
}

// raise brings an interface up.
func raise(name string) error {
	return withSocket(func(fd int) error {
		request, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
		if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
			return fmt.Errorf("%w: bringing %s up: %w", ErrNotAllowed, name, err)
		}
		return nil
	})
}

// withSocket lends f a socket of the calling thread's namespace.
func withSocket(f func(fd int) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	return f(fd)
}
