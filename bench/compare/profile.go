package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/miruvor/miruvor/bench/load"
)

// profile runs each workload once more on each system, and takes CPU profiles of its nodes: of the
// slices that count there are none, as they cost a little.
func (b *bench) profile(ctx context.Context) error {
	if err := os.MkdirAll(b.options.profiles, 0o755); err != nil {
		return err
	}
	for i := range b.workloads {
		for _, s := range b.servers {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := b.profileSlice(ctx, s, &b.workloads[i]); err != nil {
				return fmt.Errorf("profile of %s: %w", s.System.Name(), err)
			}
		}
	}
	return nil
}

func (b *bench) profileSlice(ctx context.Context, s *server, w *load.Workload) error {
	// A profile takes whole seconds, and a moment to be written.
	seconds := max(1, int(b.options.measured.length/time.Second))
	taken := make(chan error, len(s.Endpoints))
	window := load.Window{
		Warmup: b.options.measured.warmup,
		Length: time.Duration(seconds)*time.Second + time.Second/2,
		Begin: func() error {
			for i, endpoint := range s.Endpoints {
				name := fmt.Sprintf("%s-%s-n%d.pprof", w.Name, s.System.Name(), i+1)
				path := filepath.Join(b.options.profiles, name)
				go func() { taken <- fetchProfile(ctx, endpoint, seconds, path) }()
			}
			return nil
		},
		End: func() error { return nil },
	}
	if _, err := s.client.Run(w, b.shape, window); err != nil {
		return err
	}
	var errs []error
	for range s.Endpoints {
		errs = append(errs, <-taken)
	}
	return errors.Join(errs...)
}

func fetchProfile(ctx context.Context, endpoint string, seconds int, path string) error {
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", endpoint, seconds)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, response.Body)
	return errors.Join(err, file.Close())
}
