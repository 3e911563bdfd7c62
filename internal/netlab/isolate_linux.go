package netlab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// insideVariable says to a process that it is in namespaces of its own.
const insideVariable = "MIRUVOR_NETLAB_INSIDE"

// ErrNotAllowed is wrapped by what Isolated returns where a process may make no
// namespaces, or no network in them.
var ErrNotAllowed = errors.New("this machine lets us make no network of namespaces")

// Isolated reports whether this process is alone in its namespaces. If it is
// not, it starts this program again with the same arguments in namespaces of
// its own (network, mounts, processes, and users unless it is root), waits for
// it, and returns its exit code.
func Isolated() (inside bool, code int, err error) {
	if os.Getenv(insideVariable) != "" {
		return true, 0, enter()
	}
	if _, err := os.Stat(tunPath); err != nil {
		return false, 1, fmt.Errorf("%w: %w", ErrNotAllowed, err)
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID,
	}
	if uid := os.Getuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		return false, 1, fmt.Errorf("%w: %w", ErrNotAllowed, err)
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return false, max(1, exit.ExitCode()), nil
	}
	return false, 0, err
}

// enter makes the world of a process that is new in it usable: mounts that
// nobody else sees, a /proc of these processes, a loopback that is up.
func enter() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("%w: making mounts private: %w", ErrNotAllowed, err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("%w: mounting /proc: %w", ErrNotAllowed, err)
	}
	return raise("lo")
}
