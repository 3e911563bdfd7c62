package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/miruvor/miruvor/internal/kv"
)

// check is a named part of /livez or /readyz.
type check struct {
	name string
	run  func(ctx context.Context) error
}

// live are the checks of /livez: a node that fails one won't get well by itself.
func (c *checker) live() []check {
	return []check{{"serializable_read", func(ctx context.Context) error {
		// A node that waits for its cluster must not be restarted for it.
		err := c.checkRead(true)(ctx)
		if errors.Is(err, kv.ErrNotReady) || errors.Is(err, kv.ErrNoLeader) {
			return nil
		}
		return err
	}}}
}

// ready are the checks of /readyz: a node that fails one can't serve now. They are
// etcd's, and leaders: a read may find what it wants in a shard that has one.
func (c *checker) ready() []check {
	return []check{
		{"data_corruption", c.checkCorruption},
		{"serializable_read", c.checkRead(true)},
		{"linearizable_read", c.checkRead(false)},
		{"non_learner", func(context.Context) error { return nil }},
		{"leaders", c.checkLeaders},
	}
}

func (c *checker) checkLeaders(ctx context.Context) error {
	status, err := c.store.Status(ctx)
	if err == nil && !status.Ready {
		err = fmt.Errorf("%w: waiting for %s", kv.ErrNotReady, status.Waiting)
	}
	return err
}

func (c *checker) checkRead(serializable bool) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, c.timeout)
		defer cancel()
		return c.read(ctx, serializable)
	}
}

func (c *checker) checkCorruption(ctx context.Context) error {
	alarms, err := c.alarms(ctx)
	if err != nil {
		return err
	}
	for _, alarm := range alarms {
		if alarm.Kind == kv.AlarmCorrupt {
			return fmt.Errorf("alarm activated: %s", pb.AlarmType_CORRUPT)
		}
	}
	return nil
}

// serveChecks runs checks, but those that the query excludes, and tells how
// each went if one failed or the query wants to know (verbose).
func serveChecks(checks []check) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		report, well := runChecks(r.Context(), slices.DeleteFunc(slices.Clone(checks),
			func(c check) bool { return slices.Contains(query["exclude"], c.name) }))
		if !well {
			http.Error(w, report, http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if !query.Has("verbose") {
			report = ""
		}
		_, _ = fmt.Fprintf(w, "%sok\n", report)
	}
}

// serveCheck runs one check, whatever the query excludes.
func serveCheck(c check) http.HandlerFunc {
	serve := serveChecks([]check{c})
	return func(w http.ResponseWriter, r *http.Request) {
		whole := r.URL.Query()
		whole.Del("exclude")
		r = r.Clone(r.Context())
		r.URL.RawQuery = whole.Encode()
		serve(w, r)
	}
}

// runChecks tells how each check went, and whether all did well.
func runChecks(ctx context.Context, checks []check) (report string, well bool) {
	var lines strings.Builder
	well = true
	for _, c := range checks {
		if err := c.run(ctx); err != nil {
			well = false
			fmt.Fprintf(&lines, "[-]%s failed: %v\n", c.name, err)
		} else {
			fmt.Fprintf(&lines, "[+]%s ok\n", c.name)
		}
	}
	return lines.String(), well
}
