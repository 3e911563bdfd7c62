package httpapi_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/miruvor/miruvor/internal/httpapi"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// description is openapi.json, and which of its responses were seen.
type description struct {
	*openapi3.T
	mu   sync.Mutex
	seen map[string]bool
}

func loadDescription(t testing.TB) *description {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context(), openapi3.IsOpenAPI31OrLater(),
		openapi3.EnableExamplesValidation()); err != nil {
		t.Fatal(err)
	}
	return &description{T: doc, seen: map[string]bool{}}
}

// TestDescriptionHasTheRoutes: each route and method is described, and no
// other is.
func TestDescriptionHasTheRoutes(t *testing.T) {
	doc := loadDescription(t)
	described := map[string][]string{}
	for path, item := range doc.Paths.Map() {
		described[path] = slices.Sorted(maps.Keys(item.Operations()))
	}
	routes := httpapi.Routes()
	for pattern, methods := range routes {
		slices.Sort(methods)
		if !slices.Equal(methods, described[pattern]) {
			t.Errorf("%s has %v, described are %v", pattern, methods, described[pattern])
		}
	}
	for path := range described {
		if routes[path] == nil {
			t.Errorf("%s is described, but there is no such route", path)
		}
	}
}

// TestDescriptionHasTheCodes: a problem's code is one of those described.
func TestDescriptionHasTheCodes(t *testing.T) {
	doc := loadDescription(t)
	var described, codes []string
	for _, code := range doc.Components.Schemas["Problem"].Value.Properties["code"].Value.Enum {
		described = append(described, code.(string))
	}
	for _, kind := range kvjson.Kinds() {
		codes = append(codes, kind.Code)
	}
	slices.Sort(described)
	slices.Sort(codes)
	if !slices.Equal(described, codes) {
		t.Errorf("described are %v, there are %v", described, codes)
	}
}

// check holds an answer against its description.
func (doc *description) check(
	t *testing.T, method, pattern string, resp *http.Response, body []byte,
) {
	t.Helper()
	item := doc.Paths.Value(pattern)
	if item == nil || item.GetOperation(method) == nil {
		return // refused, or a HEAD that nothing is said about
	}
	op := item.GetOperation(method)
	status := strconv.Itoa(resp.StatusCode)
	described := op.Responses.Value(status)
	if described == nil {
		described = op.Responses.Default()
	} else {
		doc.saw(pattern, method, status)
	}
	where := method + " " + pattern + " " + status
	checkHeaders(t, where, described.Value, resp.Header)
	if len(body) > 0 {
		checkBody(t, where, described.Value, resp.Header.Get("Content-Type"), body)
	}
}

func (doc *description) saw(pattern, method, status string) {
	doc.mu.Lock()
	defer doc.mu.Unlock()
	doc.seen[pattern+" "+method+" "+status] = true
}

// unseen lists the responses that are described but never came.
func (doc *description) unseen() []string {
	var list []string
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			for status := range op.Responses.Map() {
				name := path + " " + method + " " + status
				if status != "default" && !doc.seen[name] {
					list = append(list, name)
				}
			}
		}
	}
	slices.Sort(list)
	return list
}

// standard are headers that need no description.
var standard = []string{
	"Content-Length", "Content-Type", "Date", "X-Content-Type-Options", "Retry-After",
	"Content-Disposition", "Vary",
}

func checkHeaders(t *testing.T, where string, described *openapi3.Response, got http.Header) {
	t.Helper()
	known := http.Header{}
	for name, header := range described.Headers {
		known.Set(name, "")
		if header.Value.Required && got.Get(name) == "" {
			t.Errorf("%s: the header %s is missing", where, name)
		}
	}
	for name := range got {
		if _, ok := known[name]; !ok && !slices.Contains(standard, name) {
			t.Errorf("%s: the header %s is not described", where, name)
		}
	}
}

func checkBody(
	t *testing.T, where string, described *openapi3.Response, mediaType string, body []byte,
) {
	t.Helper()
	media := described.Content.Get(mediaType)
	if media == nil {
		t.Errorf("%s: a body of type %s is not described", where, mediaType)
		return
	}
	if !strings.HasSuffix(mediaType, "json") || mediaType == kvjson.NDJSONType {
		return
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	if err := media.Schema.Value.VisitJSON(value); err != nil {
		t.Errorf("%s: %v", where, err)
	}
}
