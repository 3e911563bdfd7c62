package grpcserver

import (
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// restTimeoutMax is how long a client may take for the rest of a unary call's message:
// what that counts in the room, others lack.
const restTimeoutMax = 20 * time.Second

// awaitRest is called before the reader waits for more. It bounds the wait of the calls
// whose messages are not there yet; those of most are by then, and cost no timer.
func (c *conn) awaitRest() {
	for i, st := range c.in.awaited {
		if st.fate.isOpen() {
			st.awaitRest()
		}
		c.in.awaited[i] = nil
	}
	c.in.awaited = c.in.awaited[:0]
}

func (st *stream) awaitRest() {
	st.input.mu.Lock()
	defer st.input.mu.Unlock()
	st.input.rest = time.AfterFunc(restTimeoutMax, func() {
		st.refuse(status.Errorf(codes.DeadlineExceeded,
			"the message did not come within %v", restTimeoutMax))
		st.conn.flush()
	})
}

// stopTimer follows the end of the wait. in.mu is held.
func (in *input) stopTimer() {
	if in.rest != nil {
		in.rest.Stop()
	}
}
