package grpcserver

import (
	"container/list"
	"context"
	"runtime"
	"sync"
)

// flushRoundsMax is how often one goroutine writes what others go on to append,
// before it leaves that to a new one: a handler has other things to do.
const flushRoundsMax = 16

// flush writes what waits, unless somebody else does.
func (c *conn) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flushLocked()
}

// flushSoonLocked lets others run first, who may have something to add: then one
// system call does for all. c.mu is held, and is not when it returns.
func (c *conn) flushSoonLocked() {
	o := &c.out
	if o.due || o.flushing || len(o.buf) == 0 && !o.last {
		c.mu.Unlock()
		return
	}
	o.due = true
	c.mu.Unlock()
	runtime.Gosched()
	c.mu.Lock()
	o.due = false
	c.flushLocked()
	c.mu.Unlock()
}

// flushSoon is flushSoonLocked for who does not hold the lock.
func (c *conn) flushSoon() {
	c.mu.Lock()
	c.flushSoonLocked()
}

// flushLocked writes until nothing is left. c.mu is held, but not while it writes.
func (c *conn) flushLocked() {
	o := &c.out
	if o.flushing {
		return // who writes looks again before it leaves
	}
	o.flushing = true
	for round := 0; len(o.buf) > 0 && c.failure == nil && !o.shut; round++ {
		if round == flushRoundsMax {
			o.flushing = false
			c.server.running.Go(c.flush)
			return
		}
		c.writeLocked()
	}
	o.flushing = false
	if o.shut {
		o.buf = nil // what nobody is to hear any more
	}
	if o.last && !o.shut && c.failure == nil {
		o.shut = true
		c.hangUp()
	}
	o.calm.Broadcast()
}

// writeLocked writes what there is. c.mu is held, but not while it writes.
func (c *conn) writeLocked() {
	o := &c.out
	buf := o.buf
	o.buf, o.spare = o.spare[:0], nil
	c.mu.Unlock()
	_, err := c.net.Write(buf)
	if err != nil {
		c.fail(err)
	}
	c.mu.Lock()
	if cap(buf) <= outBytesKept {
		o.spare = buf
	}
	o.wakeNext()
	o.calm.Broadcast()
}

// sendLocked sends a message as the windows allow, and waits where they don't. c.mu
// is held, but not while it waits. It returns an error if the stream ends meanwhile.
func (c *conn) sendLocked(st *stream, message []byte) error {
	o := &c.out
	for len(message) > 0 {
		if err := c.awaitRoomLocked(st); err != nil {
			return err
		}
		n := min(int64(len(message)), int64(o.frameBytesMax), o.window, c.windowLocked(st))
		o.data(st.id, message[:n])
		o.window -= n
		st.window -= n
		message = message[n:]
	}
	return nil
}

// windowLocked is what the client takes of a stream; it is negative after the
// client has made windows smaller. c.mu is held.
func (c *conn) windowLocked(st *stream) int64 { return c.out.initialWindow + st.window }

// awaitRoomLocked waits until a stream may send something.
func (c *conn) awaitRoomLocked(st *stream) error {
	o := &c.out
	var place *list.Element
	leave := func() {
		if place != nil {
			o.queue.Remove(place)
			place = nil
			o.wakeNext()
		}
	}
	for c.streams[st.id] == st {
		hasWindow := c.windowLocked(st) > 0
		switch {
		case hasWindow && o.hasRoom():
			leave()
			return nil
		case len(o.buf) > 0 && !o.flushing:
			c.flushLocked()
			continue
		}
		if err := st.Err(); err != nil {
			leave()
			return err
		}
		if !hasWindow {
			leave()
		} else if place == nil {
			place = o.queue.PushBack(st)
		}
		_ = st.Done() // which has the deadline wake this one
		st.waitLocked()
	}
	leave()
	return context.Canceled
}

// waitLocked waits for wakeLocked. c.mu is held, but not while it waits.
func (st *stream) waitLocked() {
	if st.room == nil {
		st.room = sync.NewCond(&st.conn.mu)
	}
	st.room.Wait()
}

// wakeLocked has who waits to send look again. c.mu is held.
func (st *stream) wakeLocked() {
	if st.room != nil {
		st.room.Broadcast()
	}
}

// wake is wakeLocked for a deadline that passed.
func (st *stream) wake() {
	st.conn.mu.Lock()
	defer st.conn.mu.Unlock()
	st.wakeLocked()
}
