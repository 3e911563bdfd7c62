package etcdapi

import (
	"google.golang.org/grpc"

	"github.com/miruvor/miruvor/internal/grpcserver"
)

// Bounds of what an outbox holds before it sends by itself, but for the last
// message. So much fits into the memory that a server keeps for messages.
const (
	outboxMessagesMax = 256
	outboxBytesMax    = 32 << 10
)

// headBytes is about what a message takes beside its events.
const headBytes = 64

// outbox gathers messages of a stream, which costs less than to send each.
type outbox struct {
	client grpc.ServerStream
	batch  grpcserver.Batch
	// events are those of the batch that have events, in memory that is used
	// again. The batch points to them, or to where they were when it grew.
	events []eventsMessage
	bytes  int
}

// put sends a message, now or with the next flush.
func (o *outbox) put(message any) error {
	o.batch = append(o.batch, message)
	if len(o.batch) < outboxMessagesMax {
		return nil
	}
	return o.flush()
}

func (o *outbox) putEvents(m eventsMessage) error {
	o.events = append(o.events, m)
	o.bytes += headBytes + len(m.events)
	if err := o.put(&o.events[len(o.events)-1]); err != nil || o.bytes < outboxBytesMax {
		return err
	}
	return o.flush()
}

// flush sends all. It blocks while the client takes nothing.
func (o *outbox) flush() error {
	if len(o.batch) == 0 {
		return nil
	}
	err := o.client.SendMsg(&o.batch)
	clear(o.batch)
	clear(o.events)
	o.batch, o.events, o.bytes = o.batch[:0], o.events[:0], 0
	return err
}
