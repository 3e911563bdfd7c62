package httpapi

import (
	"net/http"

	"github.com/miruvor/miruvor/internal/kvjson"
)

// compact is POST /v1/compact.
func (a *api) compact(w http.ResponseWriter, r *http.Request) error {
	var j kvjson.Compact
	if err := readJSON(w, r, &j); err != nil {
		return err
	}
	oldest, err := j.Decode()
	if err != nil {
		return err
	}
	revision, err := a.store.Compact(r.Context(), oldest)
	if err != nil {
		return err
	}
	a.reached(w, revision)
	return answerLine(w, r, http.StatusOK,
		kvjson.Compacted{Revision: revision, Compacted: oldest})
}
