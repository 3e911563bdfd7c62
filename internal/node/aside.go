package node

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/kv"
)

// Owner is whose a data directory is.
type Owner struct {
	Name    string
	Cluster kv.ClusterID
}

// OwnerOf tells whose a data directory is. It returns kv.ErrInvalid for one that is no
// data directory or in use, and kv.ErrCorrupt for one that does not tell.
func OwnerOf(dir string) (Owner, error) {
	desc, err := readDescription(vfs.Default, dir)
	if err == nil && desc == nil {
		err = refuseForeign(vfs.Default, dir)
		if err == nil {
			err = kv.Invalid("data: %s is not a data directory, it has no %s", dir, fileDescription)
		}
	}
	if err != nil {
		return Owner{}, err
	}
	return Owner{Name: desc.Name, Cluster: desc.Cluster}, checkUnlocked(vfs.Default, dir)
}

// asideMax bounds how many directories are kept aside.
const asideMax = 100

// SetAside gives a data directory that no process uses another name, beside the old one,
// and returns that. The node that is started next begins with an empty one.
func SetAside(dir string) (to string, err error) {
	files := vfs.Default
	if err := checkUnlocked(files, dir); err != nil {
		return "", err
	}
	dir = filepath.Clean(dir)
	for i := range asideMax {
		to = dir + ".aside"
		if i > 0 {
			to = fmt.Sprintf("%s.aside-%d", dir, i+1)
		}
		if _, err = files.Stat(to); errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err == nil {
		return "", kv.Invalid("data: there are %d directories like %s already", asideMax, to)
	}
	if err := files.Rename(dir, to); err != nil {
		return "", fmt.Errorf("data: %w", err)
	}
	d := &directory{path: dir, fs: files}
	return to, d.sync(files.PathDir(dir))
}
