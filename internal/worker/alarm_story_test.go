package worker

import (
	"fmt"
	"strings"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// alarmRequest reads what an operator wants:
//
//	alarms    raise n3 [corrupt]    clear n3 [corrupt]
func (s *story) alarmRequest(words []string) (Request, bool) {
	ops := map[string]wire.AlarmOp{
		"alarms": wire.AlarmList, "raise": wire.AlarmRaise, "clear": wire.AlarmClear,
	}
	op, ok := ops[words[0]]
	if !ok {
		return Request{}, false
	}
	req := &wire.Alarm{Op: op}
	if len(words) > 1 {
		req.Alarm = s.alarm(words[1:])
	}
	return Request{Alarm: req}, true
}

// alarm is n3 [corrupt].
func (s *story) alarm(words []string) kv.Alarm {
	a := kv.Alarm{Node: s.node(words[0]), Kind: kv.AlarmNoSpace}
	if len(words) > 1 && words[1] == "corrupt" {
		a.Kind = kv.AlarmCorrupt
	}
	return a
}

// alarmAnswer reads how the system shard stands:
//
//	alarms index=7 term=3 [n3 …]
func (s *story) alarmAnswer(words []string) (wire.Response, bool) {
	if words[0] != "alarms" {
		return wire.Response{}, false
	}
	resp := &wire.Alarms{}
	for _, word := range words[1:] {
		switch name, value, _ := strings.Cut(word, "="); name {
		case "index":
			resp.Index = uint64(s.int(value))
		case "term":
			resp.Term = uint64(s.int(value))
		default:
			resp.Raised = append(resp.Raised, s.alarm([]string{word}))
		}
	}
	return wire.Response{UpkeepResponse: wire.UpkeepResponse{Alarms: resp}}, true
}

func showAlarms(list []kv.Alarm) string {
	if len(list) == 0 {
		return "no alarms"
	}
	var text strings.Builder
	text.WriteString("alarms")
	for _, a := range list {
		text.WriteString(" " + showAlarm(a))
	}
	return text.String()
}

func showAlarm(a kv.Alarm) string {
	if a.Kind == kv.AlarmCorrupt {
		return fmt.Sprintf("%v corrupt", a.Node)
	}
	return a.Node.String()
}

func showAlarmReply(r *wire.Alarms) string {
	if r.Changed {
		return "changed, " + showAlarms(r.Raised)
	}
	return showAlarms(r.Raised)
}

func showAlarmRequest(shard kv.ShardID, q *wire.Alarm) string {
	switch q.Op {
	case wire.AlarmRaise:
		return fmt.Sprintf("%v: raise alarm %s", shard, showAlarm(q.Alarm))
	case wire.AlarmClear:
		return fmt.Sprintf("%v: clear alarm %s", shard, showAlarm(q.Alarm))
	}
	return fmt.Sprintf("%v: alarms", shard)
}

func showStanding(st *Standing) string {
	return fmt.Sprintf("%v leads in term %d, %s", st.Leader, st.Term, showAlarms(st.Alarms))
}
