package node

import (
	"testing"
	"testing/synctest"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/worker"
)

// Who is answered that alarms changed finds the node knowing of it.
func TestStandingPrecedesReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &Node{}
		reply := make(chan worker.Reply)
		th := newThread(n, 0, nil)
		th.waiting[1] = &waiter{ch: reply}
		raised := []kv.Alarm{{Node: 1, Kind: kv.AlarmNoSpace}}
		go th.carryOut(&worker.Effects{
			Replies:  []worker.Reply{{ID: 1}},
			Standing: &worker.Standing{Alarms: raised},
		})
		synctest.Wait() // it is about to answer
		if len(n.alarms()) != 1 {
			t.Error("it answers before the node knows of the alarm")
		}
		<-reply
	})
}
