package load

import (
	"net"
	"sync"
)

// unsentBytesMax is what may wait to be sent on a socket. Who sends more than the server reads is
// not held up, or the load would adapt itself to the server.
const unsentBytesMax = 32 << 20

// patientSocket takes what is written at once, and sends it as the server reads.
type patientSocket struct {
	net.Conn
	sending sync.WaitGroup

	mu     sync.Mutex
	more   sync.Cond
	unsent []byte
	err    error // why nothing is sent any more
}

func newPatientSocket(conn net.Conn) *patientSocket {
	s := &patientSocket{Conn: conn}
	s.more.L = &s.mu
	s.sending.Go(s.send)
	return s
}

// Write never blocks.
func (s *patientSocket) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	s.unsent = append(s.unsent, b...)
	s.more.Signal()
	return len(b), nil
}

// isFull reports whether the server is so far behind that no more should be written.
func (s *patientSocket) isFull() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.unsent) > unsentBytesMax
}

// send writes what waits, until the socket fails.
func (s *patientSocket) send() {
	var sent []byte
	for {
		s.mu.Lock()
		for len(s.unsent) == 0 && s.err == nil {
			s.more.Wait()
		}
		batch, err := s.unsent, s.err
		s.unsent = sent[:0]
		s.mu.Unlock()
		if err == nil {
			_, err = s.Conn.Write(batch)
		}
		if err != nil {
			s.fail(err)
			return
		}
		sent = batch
	}
}

func (s *patientSocket) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	s.more.Signal()
}

// Close drops what waits.
func (s *patientSocket) Close() error {
	err := s.Conn.Close()
	s.fail(net.ErrClosed)
	s.sending.Wait()
	return err
}
