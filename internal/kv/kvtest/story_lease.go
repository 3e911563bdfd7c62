package kvtest

import (
	"fmt"
	"strings"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/miruvor/miruvor/internal/kv"
)

// Lease commands of a story:
//
//	grant lease=N ttl=SECONDS
//	keepalive lease=N
//	ttl lease=N [keys]
//	revoke lease=N
//	leases
//
// Time left is not printed, as it runs; it is held to be not more than was
// granted, nor less by more than a case may take.

func (s *story) grant(d *datadriven.TestData) (string, error) {
	var id, ttl int64
	d.ScanArgs(s.T, "lease", &id)
	d.ScanArgs(s.T, "ttl", &ttl)
	resp, err := s.store.LeaseGrant(s.ctx, kv.LeaseGrantRequest{ID: kv.LeaseID(id), TTL: ttl})
	return s.fullLease(resp, err), nil
}

func (s *story) keepAlive(d *datadriven.TestData) (string, error) {
	resp, err := s.store.LeaseKeepAlive(s.ctx, leaseID(s, d))
	return s.fullLease(resp, err), nil
}

// fullLease prints a lease whose time has just begun.
func (s *story) fullLease(l kv.Lease, err error) string {
	if err != nil {
		return failure(err)
	}
	if l.TTL != l.Granted {
		s.Fatalf("the lease begins with %d of %d seconds", l.TTL, l.Granted)
	}
	return fmt.Sprintf("%s\nlease %d of %d s\n", s.relative(l.Revision), l.ID, l.Granted)
}

func (s *story) timeToLive(d *datadriven.TestData) (string, error) {
	l, err := s.store.LeaseTimeToLive(s.ctx, leaseID(s, d), d.HasArg("keys"))
	if err != nil {
		return failure(err), nil
	}
	if least := l.Granted - int64(caseTimeout/time.Second) - 1; l.TTL > l.Granted || l.TTL < least {
		s.Fatalf("the lease has %d seconds left of %d", l.TTL, l.Granted)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s\nlease %d of %d s\n", s.relative(l.Revision), l.ID, l.Granted)
	for _, key := range l.Keys {
		fmt.Fprintf(&out, "  %s\n", bare(key))
	}
	return out.String(), nil
}

func (s *story) revoke(d *datadriven.TestData) (string, error) {
	rev, err := s.store.LeaseRevoke(s.ctx, leaseID(s, d))
	if err != nil {
		return failure(err), nil
	}
	return s.relative(rev) + "\n", nil
}

func (s *story) leases(*datadriven.TestData) (string, error) {
	list, err := s.store.Leases(s.ctx)
	if err != nil {
		return failure(err), nil
	}
	return fmt.Sprintf("%s\nleases %s\n", s.relative(list.Revision),
		strings.Trim(fmt.Sprint(list.IDs), "[]")), nil
}

func leaseID(s *story, d *datadriven.TestData) kv.LeaseID {
	var id int64
	d.ScanArgs(s.T, "lease", &id)
	return kv.LeaseID(id)
}
