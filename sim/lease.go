package sim

import (
	"fmt"

	"github.com/miruvor/miruvor/internal/wire"
)

// LeaseOp is something that a client asked about a lease.
type LeaseOp struct {
	Request wire.Lease
	// Keys asks for the keys on it.
	Keys     bool
	Response *wire.LeaseResponse
}

func (o *LeaseOp) String() string {
	verbs := [...]string{"grant", "revoke", "keep alive", "time to live", "list"}
	text := fmt.Sprintf("lease %d: %s", o.Request.ID, verbs[o.Request.Op])
	if o.Request.TTL > 0 {
		text += fmt.Sprintf(" %d s", o.Request.TTL)
	}
	if r := o.Response; r != nil {
		text += fmt.Sprintf(" = %d of %d s, keys %q, life %x, at %v", r.Lease.TTL, r.Lease.Granted,
			r.Lease.Keys, r.Life, r.Lease.Revision)
	}
	return text
}
