package httpapi

import (
	_ "embed"
	"net/http"

	"github.com/miruvor/miruvor/internal/kvjson"
)

//go:embed openapi.json
var openAPIDocument []byte

// openAPI is GET /openapi.json.
func (a *api) openAPI(w http.ResponseWriter, r *http.Request) error {
	setRevision(w.Header(), a.lastSeen(r))
	answer(w, r, http.StatusOK, kvjson.JSONType, openAPIDocument)
	return nil
}
