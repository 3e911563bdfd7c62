package casualties

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// A power loss between destroying what a snapshot replaces and applying it, or between the
// data of a replica and its hard state, left a replica that was neither (tikv#7027,
// cockroach#20629). Here it comes at every step of installing a snapshot.
func TestTiKV7027(t *testing.T) {
	prove(t, setting{bounds: keepFew, splitAt: []string{"m"}}, func(st *stage) {
		h := st.host(3)
		for n := 1; n < 16; n++ {
			st.leaveBehind(h, 8)
			st.grounded = true
			st.join()
			st.awaitFlight()
			h.fuse = n
			st.grounded = false
			st.wait(500 * time.Millisecond)
			h.crash()
			h.start()
			st.until("all nodes to be level", 30*time.Second, st.healthy)
		}
		st.agree()
	})
}

// Leadership went to a replica that waited for a snapshot, and nobody led for minutes
// (cockroach#68539, #81561, #82758). Here a node that is far behind is asked to take over.
func TestCockroach68539(t *testing.T) {
	prove(t, setting{bounds: keepFew}, func(st *stage) {
		h := st.host(3)
		st.leaveBehind(h, 20)
		st.grounded = true
		st.join()
		st.awaitFlight()
		l := st.leader(1)
		for i := range 40 {
			l.giveTo(h)
			before := st.now
			l.put("a", fmt.Sprint(i))
			if took := st.now - before; time.Duration(took) > 200*time.Millisecond {
				st.failf("a write took %v", time.Duration(took))
			}
			st.wait(tick)
		}
		if st.leader(1) != l {
			st.failf("%v leads", st.leader(1).id)
		}
		st.agree()
	})
}

// A log was truncated while a snapshot was on its way, by a leader that did not know of it,
// and the follower needed the next snapshot, and so on (cockroach#81978). Here load goes on,
// logs are truncated as early as may be, and the leadership changes while a snapshot is in the
// air.
func TestCockroach81978(t *testing.T) {
	prove(t, setting{bounds: keepFew}, func(st *stage) {
		h := st.host(3)
		st.leaveBehind(h, 20)
		st.grounded = true
		st.join()
		st.awaitFlight()
		l := st.leader(1)
		st.prefer(l, st.others(h, l)[0])
		sent := 0
		level := func() bool { return h.replica(1).Applied() == st.leader(1).replica(1).Applied() }
		for i := 0; !level() || i < 20; i++ {
			for j := range 4 {
				st.others(h)[0].ask(puts("k", fmt.Sprint(i, j)))
			}
			st.wait(tick)
			for _, o := range st.others(h) {
				o.flush()
			}
			h.slow = i%4 == 3 || i%4 == 0
			if i%4 == 3 { // a snapshot takes 200 ms, and its installation 100
				for _, f := range slices.Clone(st.flights) {
					sent++
					st.land(f)
				}
			}
			if i > 200 || sent > 6 {
				st.failf("after %d snapshots it is not level", sent)
			}
		}
		st.agree()
	})
}
