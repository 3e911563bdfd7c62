package node

import (
	"errors"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Preflight tells why Start would refuse cfg at once: a setting, the peer
// address, a directory that is another node's, of a newer version, or in use.
// It changes nothing, so that several nodes can be checked before one starts.
func Preflight(cfg Config) error {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return err
	}
	if err := probe(cfg.Listen); err != nil {
		return err
	}
	if cfg.Durability == DurabilityMemory {
		return nil
	}
	if _, err := admit(cfg); err != nil {
		return err
	}
	return checkUnlocked(cfg.lab.fs, cfg.Dir)
}

// checkUnlocked refuses a directory that a process uses.
func checkUnlocked(files vfs.FS, dir string) error {
	path := files.PathJoin(dir, fileLock)
	if _, err := files.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	lock, err := lockDirectory(files, dir)
	if err != nil {
		return err
	}
	return lock.Close()
}
