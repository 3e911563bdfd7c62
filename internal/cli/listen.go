package cli

import (
	"errors"
	"fmt"
	"syscall"
)

// plainListenError says in plain words why an address cannot be bound.
func plainListenError(address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is in use by another process", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s is no address of this machine", address)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s may not be bound by this user", address)
	}
	return err
}
