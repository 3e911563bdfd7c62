package httpapi

import (
	"net/http"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// listAlarms is GET /v1/alarms.
func (a *api) listAlarms(w http.ResponseWriter, r *http.Request) error {
	if q := parseQuery(r); q.err != nil {
		return q.err
	}
	alarms, err := a.maintainer.Alarms(r.Context())
	if err != nil {
		return err
	}
	return a.answerAlarms(w, r, alarms)
}

// clearAlarms is DELETE /v1/alarms[?node=N][&kind=K]: it clears those that are
// raised and fit, and answers with them.
func (a *api) clearAlarms(w http.ResponseWriter, r *http.Request) error {
	fits, err := alarmsOf(r)
	if err != nil {
		return err
	}
	alarms, err := a.maintainer.Alarms(r.Context())
	if err != nil {
		return err
	}
	var cleared []kv.Alarm
	for _, alarm := range alarms {
		if !fits(alarm) {
			continue
		}
		if _, err := a.maintainer.ClearAlarm(r.Context(), alarm); err != nil {
			return err
		}
		cleared = append(cleared, alarm)
	}
	return a.answerAlarms(w, r, cleared)
}

// alarmsOf is which alarms a query means, all if it names nothing.
func alarmsOf(r *http.Request) (func(kv.Alarm) bool, error) {
	q := parseQuery(r, "node", "kind")
	node := kv.NodeID(q.number("node", nodeMax))
	var kind kv.AlarmKind
	if q.values.Has("kind") && q.err == nil {
		q.err = kind.UnmarshalText([]byte(q.values.Get("kind")))
	}
	return func(alarm kv.Alarm) bool {
		return (node == 0 || alarm.Node == node) && (kind == 0 || alarm.Kind == kind)
	}, q.err
}

// nodeMax is far more than the id of any node.
const nodeMax = 1 << 53

func (a *api) answerAlarms(w http.ResponseWriter, r *http.Request, alarms []kv.Alarm) error {
	setRevision(w.Header(), a.lastSeen(r))
	return answerLine(w, r, http.StatusOK, kvjson.NewAlarms(alarms))
}
