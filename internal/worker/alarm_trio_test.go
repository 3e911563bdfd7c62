package worker

import (
	"slices"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

func raise(node kv.NodeID) Request {
	return Request{Alarm: &wire.Alarm{
		Op: wire.AlarmRaise, Alarm: kv.Alarm{Node: node, Kind: kv.AlarmNoSpace},
	}}
}

// standsWith compares the alarms that a node knows of with those of some nodes.
func (s *scene) standsWith(nodes ...kv.NodeID) {
	s.t.Helper()
	var of []kv.NodeID
	for _, a := range s.worker.office.outlook.told.Alarms {
		of = append(of, a.Node)
	}
	if !slices.Equal(of, nodes) {
		s.t.Errorf("%v knows of alarms of %v, there are %v", s.node, of, nodes)
	}
}

// An alarm outlasts its leader, and the lives of those who heard of it.
func TestAlarmsOutlastLeaders(t *testing.T) {
	all := newTrio(t)
	defer all.close()
	all.wait(time.Second)
	first := all.leader()
	all[first-1].submit(raise(7))
	all.wait(time.Second)
	for _, s := range all {
		s.standsWith(7)
	}
	all[first-1].down = true
	all.wait(3 * time.Second)
	second := all.leader()
	if second == first || second == 0 {
		t.Fatalf("%v leads after %v", second, first)
	}
	all[second-1].submit(raise(8))
	all.wait(time.Second)
	all[second-1].standsWith(7, 8)
	all[second-1].submit(Request{Alarm: &wire.Alarm{
		Op: wire.AlarmClear, Alarm: kv.Alarm{Node: 7, Kind: kv.AlarmNoSpace},
	}})
	all.wait(time.Second)
	all[first-1].standsWith(7) // it is down
	all[first-1].down = false
	all.wait(3 * time.Second)
	all[first-1].standsWith(8)
	layout := all[0].layout
	m, err := layout.Build()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		s.open(m)
		s.standsWith(8)
	}
}
