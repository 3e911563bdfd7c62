package grpcserver

import (
	"context"
	"encoding/binary"
	"math"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
)

// settings takes note of what the client grants.
func (c *conn) settings(f frame) error {
	const settingBytes = 6
	ack := f.flags.Has(http2.FlagSettingsAck)
	if len(f.payload)%settingBytes != 0 || ack && len(f.payload) > 0 {
		return &breach{http2.ErrCodeFrameSize, "SETTINGS has a wrong length"}
	}
	if ack {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.out.initialWindow
	for b := f.payload; len(b) > 0; b = b[settingBytes:] {
		s := http2.Setting{
			ID:  http2.SettingID(binary.BigEndian.Uint16(b)),
			Val: binary.BigEndian.Uint32(b[2:]),
		}
		if err := c.out.set(s); err != nil {
			return err
		}
	}
	c.out.settingsAck()
	if c.out.initialWindow == before {
		return nil
	}
	for _, st := range c.streams {
		if c.windowLocked(st) > math.MaxInt32 {
			return &breach{http2.ErrCodeFlowControl, "SETTINGS makes a window too large"}
		}
		st.wakeLocked()
	}
	return nil
}

// set takes note of a setting.
func (o *out) set(s http2.Setting) error {
	if err := s.Valid(); err != nil {
		code, ok := err.(http2.ConnectionError)
		if !ok {
			code = http2.ConnectionError(http2.ErrCodeProtocol)
		}
		return &breach{http2.ErrCode(code), s.String() + " is not allowed"}
	}
	switch s.ID {
	case http2.SettingInitialWindowSize:
		o.initialWindow = int64(s.Val)
	case http2.SettingMaxFrameSize:
		o.frameBytesMax = int(min(s.Val, frameBytesMax))
	case http2.SettingMaxHeaderListSize:
		o.headerBytesMax = int64(s.Val)
	case http2.SettingHeaderTableSize:
		// A table that is not used must be said to be empty all the same.
		o.shrinkTable = o.shrinkTable || s.Val < headerTableBytes
	}
	return nil
}

// granted takes note that the client takes more.
func (c *conn) granted(id, bytes uint32) error {
	if err := c.checkIdle(id); err != nil {
		return err
	}
	switch {
	case bytes == 0 && id == 0:
		return &breach{http2.ErrCodeProtocol, "a window grows by nothing"}
	case bytes == 0:
		c.giveUp(id, http2.ErrCodeProtocol)
		return nil
	case id == 0:
		return c.grantedAll(bytes)
	}
	c.mu.Lock()
	st, tooMuch := c.streams[id], false
	if st != nil {
		st.window += int64(bytes)
		tooMuch = c.windowLocked(st) > math.MaxInt32
		st.wakeLocked()
	}
	c.mu.Unlock()
	if tooMuch {
		c.giveUp(id, http2.ErrCodeFlowControl)
	}
	return nil
}

func (c *conn) grantedAll(bytes uint32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out.window += int64(bytes); c.out.window > math.MaxInt32 {
		return &breach{http2.ErrCodeFlowControl, "the connection's window is too large"}
	}
	c.out.wakeNext()
	return nil
}

// checkIdle refuses a frame of a stream that was never begun.
func (c *conn) checkIdle(id uint32) error {
	if id != 0 && (id > c.in.lastID || id%2 == 0) {
		return &breach{http2.ErrCodeProtocol, "a frame of a stream that was never begun"}
	}
	return nil
}

// reset ends a stream that its client gave up.
func (c *conn) reset(id uint32) error {
	if err := c.checkIdle(id); err != nil {
		return err
	}
	c.drop(id)
	return nil
}

// giveUp resets a stream, whether it is there or not.
func (c *conn) giveUp(id uint32, code http2.ErrCode) {
	c.mu.Lock()
	c.out.reset(id, code)
	c.mu.Unlock()
	c.drop(id)
}

// drop forgets a stream, if it is there, and ends its call.
func (c *conn) drop(id uint32) {
	if c.in.newest != nil && c.in.newest.id == id {
		c.in.newest = nil
	}
	c.mu.Lock()
	st := c.streams[id]
	if st != nil {
		delete(c.streams, id)
		if st.fate.hasBegun() {
			st.abandoned = true
			c.abandoned++
		}
		st.wakeLocked()
		c.partLocked()
	}
	c.mu.Unlock()
	if st != nil {
		st.end(context.Canceled)
		st.leaveUnbegun(codes.Canceled)
	}
}
