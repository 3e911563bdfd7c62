package transport

import (
	"slices"
	"sync"
)

// unproven are inbound connections that have not shown whose they are, in the order of
// their arrival. There are as many as there may be connections, at most.
type unproven struct {
	mu    sync.Mutex
	conns []*conn
}

func (u *unproven) add(c *conn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.conns = append(u.conns, c)
}

func (u *unproven) remove(c *conn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if i := slices.Index(u.conns, c); i >= 0 {
		u.conns = slices.Delete(u.conns, i, i+1)
	}
}

// oldest takes the first out; nil if there is none.
func (u *unproven) oldest() *conn {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.conns) == 0 {
		return nil
	}
	c := u.conns[0]
	u.conns = slices.Delete(u.conns, 0, 1)
	return c
}
