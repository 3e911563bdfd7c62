package gateway

import (
	"encoding/json"
	"net/http"

	"github.com/miruvor/miruvor/internal/etcdapi"
)

// newProbes are the routes beside the services.
func newProbes(opts *Options) map[string]http.Handler {
	c := &checker{store: opts.Store, maint: opts.Maintainer, timeout: opts.RequestTimeout}
	probes := map[string]http.Handler{
		"/version": onlyGet(serveVersion),
		"/health":  onlyGet(c.serveHealth),
	}
	for path, checks := range map[string][]check{
		"/livez":  c.live(),
		"/readyz": c.ready(),
	} {
		probes[path] = onlyGet(serveChecks(checks))
		for _, one := range checks {
			probes[path+"/"+one.name] = onlyGet(serveCheck(one))
		}
	}
	return probes
}

// onlyGet refuses all methods but GET, as etcd does, and HEAD, which load
// balancers like.
func onlyGet(serve http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", http.MethodGet)
			http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
			return
		}
		serve(w, r)
	})
}

// versions is the answer of /version.
type versions struct {
	Server  string `json:"etcdserver"`
	Cluster string `json:"etcdcluster"`
	Storage string `json:"storage"`
}

// serveVersion tells which etcd's API this is.
func serveVersion(w http.ResponseWriter, _ *http.Request) {
	body, err := json.Marshal(versions{
		Server: etcdapi.Version, Cluster: etcdapi.ClusterVersion, Storage: etcdapi.StorageVersion,
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}
