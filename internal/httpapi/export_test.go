package httpapi

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// Routes lists the API's routes: the methods of each pattern.
func Routes() map[string][]string {
	routes := map[string][]string{}
	for _, route := range (&api{}).routes(allRoutes) {
		for _, m := range route.methods {
			routes[route.pattern] = append(routes[route.pattern], m.name)
		}
	}
	return routes
}

// PatternOf is the pattern of the route that r takes.
func PatternOf(r *http.Request) string {
	pattern, _ := newRouter((&api{}).routes(allRoutes)).find(r)
	return pattern
}

var allRoutes = Options{
	Pprof: true, Registry: prometheus.NewRegistry(), Maintainer: kvfake.New(),
}
