package kvjson

import "github.com/miruvor/miruvor/internal/kv"

// Alarms is a list of alarms: {"alarms":[{"node":1,"kind":"no_space"}]}.
type Alarms struct {
	Alarms []kv.Alarm `json:"alarms"`
}

// NewAlarms is list as JSON.
func NewAlarms(list []kv.Alarm) Alarms {
	if list == nil {
		list = []kv.Alarm{}
	}
	return Alarms{list}
}
