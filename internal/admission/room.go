package admission

import "time"

// Calls bounds requests. Clients that wait for their answers before they ask again are no
// flood: as many as Min are never refused for being many.
var Calls = Bounds{Min: 1024, Stalled: 64, Idle: 4096, Max: 8192}

// What requests carry, in bytes, is bounded apart: it is what most of the memory goes to,
// and what takes longest on a slow disk. What is read is counted as it is answered.
var (
	WriteLoads = Bounds{Min: 4 << 20, Stalled: 1 << 20, Idle: 32 << 20, Max: 64 << 20}
	ReadLoads  = Bounds{Min: 16 << 20, Stalled: 4 << 20, Idle: 64 << 20, Max: 128 << 20}
)

// Room bounds what is under way at a place: requests, and what they carry.
type Room struct {
	Calls, Loads *Limiter
}

// NewRoom is a room that lets in what is done within about target. now is the clock,
// which may be asked by many goroutines.
func NewRoom(loads Bounds, target time.Duration, now func() time.Time) *Room {
	return &Room{Calls: New(Calls, target, now), Loads: New(loads, target, now)}
}

// Enter lets a request in that carries so many bytes, or refuses it.
func (r *Room) Enter(bytes int) bool {
	if !r.Calls.Take(1) {
		return false
	}
	if !r.Take(bytes) {
		r.Calls.Leave(1, false)
		return false
	}
	return true
}

// Reenter is Enter for what goes on with a request that was let in.
func (r *Room) Reenter(bytes int) {
	r.Calls.Hold(1)
	r.Hold(bytes)
}

// Take lets a request that was let in carry so many bytes more, or refuses that.
func (r *Room) Take(bytes int) bool { return bytes == 0 || r.Loads.Take(int64(bytes)) }

// Hold is Take for what is in memory already, or less if it is negative.
func (r *Room) Hold(bytes int) {
	if bytes != 0 {
		r.Loads.Hold(int64(bytes))
	}
}

// Leave ends a request that carried so many bytes altogether. served says that it was
// done, and in time: what else ended shows nothing of what can be done.
func (r *Room) Leave(bytes int, served bool) {
	r.Calls.Leave(1, served)
	if bytes != 0 {
		r.Loads.Leave(int64(bytes), served)
	}
}

// Live is how many requests and bytes are under way.
func (r *Room) Live() (calls, bytes int64) { return r.Calls.Load().Live, r.Loads.Load().Live }
