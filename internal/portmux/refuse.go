package portmux

import (
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"time"
)

// refuseTimeout is how long a client may take to hear that it is refused.
const refuseTimeout = time.Second

const refusalText = "too many connections"

// refusal says that there are too many connections, before anything was asked: as the
// status 503, or as a GOAWAY of HTTP/2 (RFC 9113, 6.8), which clients of gRPC show.
func refusal(isHTTP2 bool) []byte {
	if !isHTTP2 {
		return []byte("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n" +
			"Retry-After: 1\r\nContent-Type: text/plain\r\nContent-Length: " +
			strconv.Itoa(len(refusalText)+1) + "\r\n\r\n" + refusalText + "\n")
	}
	const settings, goAway, enhanceYourCalm = 4, 7, 0xb
	b := []byte{0, 0, 0, settings, 0, 0, 0, 0, 0}
	b = append(b, 0, 0, byte(8+len(refusalText)), goAway, 0, 0, 0, 0, 0)
	b = append(b, 0, 0, 0, 0) // no stream was taken
	b = binary.BigEndian.AppendUint32(b, enhanceYourCalm)
	return append(b, refusalText...)
}

// refuse tells a client that there are too many connections, and closes its own. What
// was not read when a socket closes makes it a reset, and the client would not hear.
func refuse(conn net.Conn, isHTTP2 bool) {
	_ = conn.SetDeadline(time.Now().Add(refuseTimeout))
	if _, err := conn.Write(refusal(isHTTP2)); err == nil {
		if w, ok := conn.(interface{ CloseWrite() error }); ok && w.CloseWrite() == nil {
			_, _ = io.Copy(io.Discard, conn)
		}
	}
	_ = conn.Close()
}
