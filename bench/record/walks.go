package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/miruvor/miruvor/bench/conformance"
	"github.com/miruvor/miruvor/internal/etcdtest"
)

// A file of walks holds so many sequences; so many are recorded at once, each
// at an etcd of its own.
const (
	walksPerFile = 100
	walksAtOnce  = 16
)

// recordWalks draws sequences from the seeds 0 to count-1.
func recordWalks(ctx context.Context, dir, only string, count int) error {
	var wg sync.WaitGroup
	failed := make(chan error, count/walksPerFile+1)
	slots := make(chan struct{}, walksAtOnce)
	for first := 0; first < count; first += walksPerFile {
		file := filepath.Join(dir, fmt.Sprintf("%05d.txt.gz", first))
		if !strings.Contains(file, only) {
			continue
		}
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			failed <- recordWalkFile(ctx, file, first, min(first+walksPerFile, count))
		})
	}
	wg.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

func recordWalkFile(ctx context.Context, file string, first, end int) error {
	return conformance.WithEtcd(ctx, func(r *etcdtest.Runner) error {
		var out []string
		for seed := first; seed < end; seed++ {
			s, err := conformance.Walk(ctx, r, uint64(seed))
			if err != nil {
				return err
			}
			out = append(out, s.String())
		}
		data, err := etcdtest.Pack(strings.Join(out, "\n"))
		if err != nil {
			return err
		}
		return os.WriteFile(file, data, 0o644)
	})
}
