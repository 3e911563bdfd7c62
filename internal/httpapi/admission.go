package httpapi

import (
	"fmt"
	"net/http"
	"time"

	"github.com/miruvor/miruvor/internal/admission"
	"github.com/miruvor/miruvor/internal/kv"
)

// rooms are where requests stand that ask for work, from their header to the end of
// the answer, with their bodies. The others (leases that are kept alive, watches, what
// operators ask for) cost little, or must go on whatever the load, and stand in none.
type rooms struct{ reads, writes *admission.Room }

// targetPart of the time that a request may take is spent here at most, when more
// comes in than can be done.
const targetPart = 10

func newRooms(requestTimeout time.Duration) rooms {
	target := requestTimeout / targetPart
	return rooms{
		reads:  admission.NewRoom(admission.ReadLoads, target, time.Now),
		writes: admission.NewRoom(admission.WriteLoads, target, time.Now),
	}
}

// reading is handle for requests that read.
func (a *api) reading(handle handler) handler { return a.inRoom(a.rooms.reads, handle) }

// writing is handle for requests that write.
func (a *api) writing(handle handler) handler { return a.inRoom(a.rooms.writes, handle) }

// inRoom has handle answer a request if there is room for it.
func (a *api) inRoom(room *admission.Room, handle handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		body := a.bodyOf(r)
		if !room.Enter(body) {
			calls, bytes := room.Live()
			return fmt.Errorf("%w: %d are under way here, with %d bytes, which is as much as "+
				"is done in time", kv.ErrTooManyRequests, calls, bytes)
		}
		done := false // also if it panics
		defer func() { room.Leave(body, done) }()
		err := handle(w, r)
		done = isDone(r, err)
		return err
	}
}

// bodyOf is how much a request's body counts: what it says, or as much as it may be.
func (a *api) bodyOf(r *http.Request) int {
	most := int64(a.limits.RequestBytesMax)
	if r.ContentLength < 0 {
		return int(most)
	}
	return int(min(r.ContentLength, most))
}

// isDone reports whether a request that ended so was one that could be done.
func isDone(r *http.Request, err error) bool {
	if err == nil {
		return true
	}
	p, _ := problemOf(r, err)
	return p.Status < http.StatusInternalServerError && p.Status != http.StatusTooManyRequests
}
