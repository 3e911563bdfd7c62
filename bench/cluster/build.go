package cluster

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// bin is where in the directory of a run the binaries are; the nodes are in directories
// named for their systems.
const bin = "bin"

// BuildMiruvor makes dir/bin/miruvor of this repository, as releases are made, and returns
// its path. It works wherever in the module bench it is called.
func BuildMiruvor(dir string) (binary string, err error) { return build(dir, "miruvor", "..", ".") }

// BuildEtcd makes dir/bin/etcd of the pinned version.
func BuildEtcd(dir string) (binary string, err error) { return build(dir, "etcd", ".", "./etcdserver") }

// build makes dir/bin/name of a package; module is relative to the module bench.
func build(dir, name, module, pkg string) (string, error) {
	binary, err := filepath.Abs(filepath.Join(dir, bin, name))
	if err != nil {
		return "", err
	}
	here, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("not in the module bench: %w", err)
	}
	root := filepath.Join(string(bytes.TrimSpace(here)), module)
	cmd := exec.Command("go", "build", "-C", root,
		"-trimpath", "-ldflags=-s -w", "-o", binary, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go build %s: %w", name, err)
	}
	return binary, nil
}
