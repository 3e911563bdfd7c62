// Command record asks an etcd for the answers that internal/etcdtest compares
// Miruvor's with, and writes them into its testdata.
//
//	cd bench && go run ./record               # everything
//	cd bench && go run ./record -only watch   # scripts with that in their name
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/miruvor/miruvor/bench/conformance"
	"github.com/miruvor/miruvor/internal/etcdtest"
)

func main() {
	dir := flag.String("dir", "../internal/etcdtest/testdata", "where the scripts are")
	only := flag.String("only", "", "record only scripts with this in their path")
	walks := flag.Int("walks", 2000, "how many random sequences to record")
	flag.Parse()
	if err := record(context.Background(), *dir, *only, *walks); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

func record(ctx context.Context, dir, only string, walks int) error {
	if err := recordWalks(ctx, filepath.Join(dir, "walks"), only, walks); err != nil {
		return err
	}
	edges, err := filepath.Glob(filepath.Join(dir, "edges", "*.txt"))
	if err != nil {
		return err
	}
	if len(edges) == 0 {
		return fmt.Errorf("%s holds no scripts", dir)
	}
	for _, file := range edges {
		if !strings.Contains(file, only) {
			continue
		}
		if err := recordEdge(ctx, file); err != nil {
			return err
		}
	}
	return nil
}

// recordEdge replaces the answers of a script by those of a new etcd.
func recordEdge(ctx context.Context, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	s, err := etcdtest.Parse(file, string(text))
	if err != nil {
		return err
	}
	err = conformance.WithEtcd(ctx, func(r *etcdtest.Runner) error {
		if s.Fresh() {
			return r.Record(ctx, s)
		}
		return conformance.Record(ctx, r, s)
	})
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(s.String()), 0o644)
}
