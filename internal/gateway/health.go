package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/miruvor/miruvor/internal/kv"
)

// checker looks whether a node and its cluster do what they should.
type checker struct {
	store   kv.Store
	maint   kv.Maintainer
	timeout time.Duration
}

// health is the answer of /health.
type health struct {
	Health string `json:"health"`
	Reason string `json:"reason"`
}

// serveHealth is GET /health. With serializable=true it is about this node
// alone, and exclude=NOSPACE makes nothing of that alarm.
func (c *checker) serveHealth(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	ctx, cancel := context.WithTimeout(r.Context(), c.timeout)
	defer cancel()
	answer := health{Health: "true"}
	answer.Reason = c.trouble(ctx, query["exclude"], query.Get("serializable") == "true")
	if answer.Reason != "" {
		answer.Health = "false"
	}
	body, err := json.Marshal(answer)
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	case answer.Reason != "":
		http.Error(w, string(body), http.StatusServiceUnavailable)
	default:
		_, _ = w.Write(body)
	}
}

// trouble says in etcd's words what is wrong, "" if nothing is.
func (c *checker) trouble(ctx context.Context, excluded []string, serializable bool) string {
	alarms, err := c.alarms(ctx)
	if err != nil {
		return "RANGE ERROR:" + err.Error()
	}
	for _, alarm := range alarms {
		if name := pb.AlarmType(alarm.Kind).String(); !slices.Contains(excluded, name) {
			return "ALARM " + name
		}
	}
	if !serializable && c.maint.Standing().Leader == 0 {
		return "RAFT NO LEADER"
	}
	if err := c.read(ctx, serializable); err != nil {
		return "RANGE ERROR:" + err.Error()
	}
	return ""
}

// alarms are those that the node knows of: a node is not asked to wait for a leader
// before it tells that there is none.
func (c *checker) alarms(ctx context.Context) ([]kv.Alarm, error) {
	status, err := c.store.Status(ctx)
	return status.Alarms, err
}

// read reads a key, whichever there is.
func (c *checker) read(ctx context.Context, serializable bool) error {
	_, err := c.store.Range(ctx, kv.RangeRequest{
		Limit: 1, KeysOnly: true, Serializable: serializable,
	})
	return err
}
