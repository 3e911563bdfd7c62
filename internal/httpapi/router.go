package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/miruvor/miruvor/internal/kvjson"
)

// handler answers a request, or returns an error that becomes a problem
// document. After an error it has written nothing.
type handler func(w http.ResponseWriter, r *http.Request) error

// route is a path and what can be done with it.
type route struct {
	// pattern is the path. From the first "{" to the last "}" the handler
	// takes it apart; only an {id} holds no "/". A pattern that ends in "/"
	// has everything below it. Where two fit, it is the first.
	pattern string
	methods []method
}

// method is one method of a route.
type method struct {
	name   string
	handle handler
}

// routes is the whole API.
func (a *api) routes(opts Options) []route {
	routes := []route{
		{"/v1/kv", []method{
			{"GET", a.reading(a.listKeys)}, {"DELETE", a.writing(a.deleteKeys)},
		}},
		{keyRoute + "{key}", []method{
			{"GET", a.reading(a.getKey)},
			{"HEAD", a.reading(a.getKey)},
			{"PUT", a.writing(a.putKey)},
			{"DELETE", a.writing(a.deleteKey)},
		}},
		{"/v1/txn", []method{{"POST", a.writing(a.txn)}}},
		{watchRoute, []method{{"GET", a.watch}}},
		{watchRoute + "/{name}" + progressSuffix, []method{{"POST", a.askProgress}}},
		{"/v1/leases", []method{
			{"GET", a.listLeases}, {"POST", a.writing(a.grantLease)},
		}},
		{leaseRoute + "{id}" + keepAliveSuffix, []method{{"POST", a.keepAlive}}},
		{leaseRoute + "{id}", []method{{"GET", a.getLease}, {"DELETE", a.revokeLease}}},
		{"/v1/compact", []method{{"POST", a.compact}}},
		{"/v1/status", []method{{"GET", a.status}}},

		{"/", []method{{"GET", a.index}}},
		{readRoute + "{key}", []method{{"GET", a.reading(a.originalRead)}}},
		{writeRoute + "{key}/{value}", []method{{"POST", a.writing(a.originalWrite)}}},
		{updateRoute + "{key}/{value}", []method{{"PUT", a.writing(a.originalUpdate)}}},
		{deleteRoute + "{key}", []method{{"DELETE", a.writing(a.originalDelete)}}},

		{"/metrics", []method{{"GET", a.metricsHandler(opts.Registry)}}},
		{"/openapi.json", []method{{"GET", a.openAPI}}},
	}
	if opts.Maintainer != nil {
		routes = append(routes, route{"/v1/alarms", []method{
			{"GET", a.listAlarms}, {"DELETE", a.clearAlarms},
		}})
	}
	if opts.Pprof {
		routes = append(routes, route{pprofRoute, []method{{"GET", a.profile}}})
	}
	return routes
}

// router finds the route of a path as the client wrote it.
type router struct {
	exact map[string]*route
	// open are the routes of which only the ends of the path are known.
	open []openRoute
}

type openRoute struct {
	prefix, suffix string
	// segment tells that what is between them is one.
	segment bool
	*route
}

func (o *openRoute) fits(path string) bool {
	if len(path) < len(o.prefix)+len(o.suffix) ||
		!strings.HasPrefix(path, o.prefix) || !strings.HasSuffix(path, o.suffix) {
		return false
	}
	between := path[len(o.prefix) : len(path)-len(o.suffix)]
	return !o.segment || !strings.Contains(between, "/")
}

func newRouter(routes []route) *router {
	rt := &router{exact: map[string]*route{}}
	for i := range routes {
		pattern := routes[i].pattern
		prefix, _, isOpen := strings.Cut(pattern, "{")
		if isOpen || (len(pattern) > 1 && strings.HasSuffix(pattern, "/")) {
			suffix := pattern[strings.LastIndexByte(pattern, '}')+1:]
			if !isOpen {
				suffix = ""
			}
			segment := strings.Contains(pattern, "{id}")
			rt.open = append(rt.open, openRoute{prefix, suffix, segment, &routes[i]})
		} else {
			rt.exact[pattern] = &routes[i]
		}
	}
	return rt
}

// find returns the route and the handler for r. Without a route its pattern
// is empty and the handler says so.
func (rt *router) find(r *http.Request) (pattern string, handle handler) {
	path := writtenPath(r.URL)
	found := rt.exact[path]
	for i := range rt.open {
		if found == nil && rt.open[i].fits(path) {
			found = rt.open[i].route
		}
	}
	if found == nil {
		return "", noRoute
	}
	for _, m := range found.methods {
		if m.name == r.Method || (m.name == http.MethodGet && r.Method == http.MethodHead) {
			return found.pattern, m.handle
		}
	}
	return found.pattern, found.noMethod
}

// writtenPath is the path with the escapes that the client wrote. It is not
// URL.EscapedPath, which writes them anew if it dislikes one of them.
func writtenPath(u *url.URL) string {
	if u.RawPath != "" {
		return u.RawPath
	}
	return u.EscapedPath()
}

func noRoute(_ http.ResponseWriter, r *http.Request) error {
	return problemError{kvjson.RouteNotFound.New("see /openapi.json for those there are")}
}

func (rt *route) noMethod(w http.ResponseWriter, r *http.Request) error {
	var allowed []string
	for _, m := range rt.methods {
		allowed = append(allowed, m.name)
		if m.name == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	slices.Sort(allowed)
	list := strings.Join(slices.Compact(allowed), ", ")
	w.Header().Set("Allow", list)
	return problemError{kvjson.MethodNotAllowed.New(rt.pattern + " has " + list)}
}
