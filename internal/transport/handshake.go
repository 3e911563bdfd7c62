package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/miruvor/miruvor/internal/wire"
)

// A connection begins with a frameHello of the dialer, which the other side
// answers with its own. The dialer closes the handshake by a frameAgreed.
// Either may send a frameRefusal in place of its answer. A hello is
//
//	magic "MRVR" | lowest version u16 | highest version u16 | wire.Hello
//
// and the first eight bytes keep this form in all versions to come. The
// connection speaks the highest version that both sides know.
const (
	magic        = "MRVR"
	versionMin   = 1
	versionMax   = 1
	preludeBytes = len(magic) + 4

	// helloBytesMax bounds the first frames of a connection, of whoever.
	helloBytesMax = 4 << 10
	// refusalBytesMax bounds the text of a refusal.
	refusalBytesMax = 1 << 10
)

// refusal is why a connection did not come about though both sides spoke.
type refusal struct {
	// byPeer tells that the peer refused, not this node.
	byPeer bool
	text   string
}

func (r *refusal) Error() string {
	if r.byPeer {
		return "refused by the peer: " + r.text
	}
	return "peer refused: " + r.text
}

func refuse(format string, args ...any) error {
	return &refusal{text: fmt.Sprintf(format, args...)}
}

func refusedByPeer(payload []byte) error {
	return &refusal{byPeer: true, text: string(payload[:min(len(payload), refusalBytesMax)])}
}

// greet introduces this node to the peer that it dialled, and checks who
// answered. With agree, the handshake is over.
func (t *Transport) greet(c *conn, call wire.Hello) error {
	defer c.within(t.opts.Timing.Handshake)()
	if err := c.write(t.hello(call)); err != nil {
		return err
	}
	hello, err := t.readHello(c)
	if err == nil && hello.Node.ID != call.To {
		err = refuse("%s answers at the address of %s", hello.Node.ID, call.To)
	}
	if err == nil {
		err = t.checkHello(&hello)
	}
	if err != nil {
		c.refuse(err)
		return err
	}
	return nil
}

// agree tells the other side to go on: to take in what comes, to send, or, once it has hung
// up, elsewhere.
func (c *conn) agree() error { return c.write(newFrame(frameAgreed, "")) }

// admit lets a node that dialled this one introduce itself, and answers. The
// hello is returned with an error too, as far as it was read.
func (t *Transport) admit(c *conn) (wire.Hello, error) {
	defer c.within(t.opts.Timing.Handshake)()
	hello, err := t.readHello(c)
	c.greeted = time.Now()
	if err == nil {
		err = t.checkHello(&hello)
	}
	if err != nil {
		c.refuse(err)
		return hello, err
	}
	answer := wire.Hello{To: hello.Node.ID, Purpose: hello.Purpose, Onward: hello.Onward}
	if err := c.write(t.hello(answer)); err != nil {
		return hello, err
	}
	return hello, c.readAgreed()
}

func (c *conn) readAgreed() error {
	kind, payload, err := readFrame(c.in, helloBytesMax)
	switch {
	case err != nil:
		return c.failure(err)
	case kind == frameRefusal:
		return refusedByPeer(payload)
	case kind != frameAgreed:
		return errUnexpectedFrame(kind)
	}
	return nil
}

// within fails the connection after d, unless the returned function was
// called before.
func (c *conn) within(d time.Duration) (stop func()) {
	timer := time.AfterFunc(d, func() { c.fail(errSilence) })
	return func() { timer.Stop() }
}

// refuse tells the peer, if this node refused it.
func (c *conn) refuse(err error) {
	if r, ok := errors.AsType[*refusal](err); ok && !r.byPeer {
		text := r.text[:min(len(r.text), refusalBytesMax)]
		_ = c.write(newFrame(frameRefusal, text)) // the refusal itself is reported
	}
}

// hello is the first frame of this node: call says to whom, and what for.
func (t *Transport) hello(call wire.Hello) []byte {
	call.Cluster, call.Origin = t.opts.Cluster, t.opts.Origin
	call.Node, call.Formats = t.opts.Self, t.opts.Formats
	frame := append(beginFrame(nil), magic...)
	frame = binary.LittleEndian.AppendUint16(frame, versionMin)
	frame = binary.LittleEndian.AppendUint16(frame, versionMax)
	frame = wire.AppendHello(frame, &call)
	return sealFrame(frame, frameHello)
}

func (t *Transport) readHello(c *conn) (wire.Hello, error) {
	kind, payload, err := readFrame(c.in, helloBytesMax)
	switch {
	case errors.Is(err, errFrame):
		return wire.Hello{}, refuse("not the protocol of Miruvor's nodes: %v", err)
	case err != nil:
		return wire.Hello{}, c.failure(err)
	case kind == frameRefusal:
		return wire.Hello{}, refusedByPeer(payload)
	case kind != frameHello || len(payload) < preludeBytes || string(payload[:4]) != magic:
		return wire.Hello{}, refuse("not the protocol of Miruvor's nodes")
	}
	lowest := binary.LittleEndian.Uint16(payload[4:])
	highest := binary.LittleEndian.Uint16(payload[6:])
	if lowest > versionMax || highest < versionMin {
		return wire.Hello{}, refuse("protocol versions %d to %d, this node speaks %d to %d",
			lowest, highest, versionMin, versionMax)
	}
	hello, err := wire.DecodeHello(payload[preludeBytes:])
	if err != nil {
		return wire.Hello{}, refuse("introduction: %v", err)
	}
	return hello, nil
}

// clause appends text to a sentence, if there is any.
func clause(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}

// checkHello decides whether this node talks to the one that sent h.
func (t *Transport) checkHello(h *wire.Hello) error {
	self, formats := &t.opts.Self, t.opts.Formats
	switch {
	case h.Cluster != t.opts.Cluster:
		return refuse("%s (%s) is of cluster %s%s, %s (%s) of cluster %s%s",
			h.Node.ID, h.Node.Name, h.Cluster, clause(h.Origin),
			self.ID, self.Name, t.opts.Cluster, clause(t.opts.Origin))
	case h.Node.ID == self.ID:
		return refuse("two nodes have the same id %s: %s at %s and %s at %s",
			self.ID, h.Node.Name, h.Node.Peer, self.Name, self.Peer)
	case h.To != self.ID:
		return refuse("%s looks for %s but found %s (%s)", h.Node.ID, h.To, self.ID, self.Name)
	case !h.Formats.Overlaps(formats):
		return refuse("%s understands data formats %d to %d, %s formats %d to %d", h.Node.ID,
			h.Formats.Min, h.Formats.Max, self.ID, formats.Min, formats.Max)
	case h.Purpose < wire.ForMessages || h.Purpose > wire.ForRelay:
		return refuse("purpose %d of the connection is unknown", h.Purpose)
	}
	if err := t.opts.Handler.Hello(h.Node); err != nil {
		return refuse("%v", err)
	}
	if t.peer(h.Node.ID) == nil {
		return refuse("%s (%s) is not known to %s as a node of the cluster",
			h.Node.ID, h.Node.Name, self.ID)
	}
	return nil
}
